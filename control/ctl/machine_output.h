// The machine and its events for people.
#ifndef DAXVMM_CONTROL_CTL_MACHINE_OUTPUT_H_
#define DAXVMM_CONTROL_CTL_MACHINE_OUTPUT_H_

#include <string>

#include "control/ctl/text_table.h"
#include "control/ctl/view.h"
#include "proto/daxvmm/v1/machine.pb.h"

namespace daxvmm::control {

// "running".
std::string MachineStateText(v1::Machine::State state);
std::string MachineText(const v1::Machine& machine, const View& view);

// An empty table; AddEvent adds a row.
TextTable EventsTable(const View& view);
void AddEvent(const v1::Event& event, const View& view, TextTable* table);
// "12:00:03 power-off: the guest powered off": where an event is news.
std::string EventLine(const v1::Event& event, const View& view);
// Whether nothing can come after it.
bool EndsMachine(v1::Event::Kind kind);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_MACHINE_OUTPUT_H_
