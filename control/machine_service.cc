#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "control/machine_codec.h"
#include "control/pull_stream.h"
#include "control/services.h"
#include "proto/daxvmm/v1/machine.grpc.pb.h"

namespace daxvmm::control {
namespace {

constexpr size_t kConsolePiece = size_t{32} << 10;

constexpr char kNoHotPlug[] =
    "the guest learns of its virtio-mmio devices from its ACPI tables at boot, and there is no hot-plug of them; ";

// Of a stream that has sent all there is when the server goes, while the machine has not ended.
absl::Status Ending() { return absl::UnavailableError("the control plane is ending"); }

class EventSource {
 public:
  EventSource() = default;
  EventSource(const EventLog* log, const WatchEventsCommand& command)
      : log_(log),
        kinds_(command.kinds),
        follow_(command.follow),
        last_(log->newest()),
        place_{.after = command.after} {}

  std::optional<absl::Status> Next(bool stopping, v1::WatchEventsResponse* message, bool* filled) {
    // What comes after the call began is for those who follow.
    const bool done = !follow_ && place_.after >= last_;
    EventLog::Entry entry;
    if (!done) entry = log_->Next(kinds_, &place_);
    const bool wanted = entry.event.has_value() && (follow_ || entry.event->sequence <= last_);
    if (wanted) {
      EncodeEvent(*entry.event, entry.missed, message);
      *filled = true;
      return std::nullopt;
    }
    if (!follow_ || entry.ended) return absl::OkStatus();
    if (stopping) return Ending();
    return std::nullopt;
  }

 private:
  const EventLog* log_ = nullptr;
  EventLog::Kinds kinds_;
  bool follow_ = false;
  uint64_t last_ = 0;  // the newest event when the call began
  EventLog::Place place_;
};

class ConsoleSource {
 public:
  ConsoleSource() = default;
  ConsoleSource(const ConsoleLog* log, uint64_t offset, bool follow)
      : log_(log), offset_(offset), follow_(follow), last_(log->size()) {}

  std::optional<absl::Status> Next(bool stopping, v1::ReadConsoleResponse* message, bool* filled) {
    const uint64_t left = follow_ ? kConsolePiece : last_ - std::min(offset_, last_);
    ConsoleLog::Piece piece = log_->Read(offset_, std::min<uint64_t>(left, kConsolePiece));
    if (!piece.data.empty()) {
      offset_ = piece.offset + piece.data.size();
      message->set_offset(piece.offset);
      message->set_data(std::move(piece.data));
      *filled = true;
      return std::nullopt;
    }
    if (!follow_ || piece.ended) return absl::OkStatus();
    if (stopping) return Ending();
    return std::nullopt;
  }

 private:
  const ConsoleLog* log_ = nullptr;
  uint64_t offset_ = 0;
  bool follow_ = false;
  uint64_t last_ = 0;  // what the guest had written when the call began
};

using EventStream = PullStream<v1::WatchEventsResponse, EventSource>;
using ConsoleStream = PullStream<v1::ReadConsoleResponse, ConsoleSource>;

class MachineService final : public v1::MachineService::CallbackService {
 public:
  explicit MachineService(const ServiceParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* GetMachine(grpc::CallbackServerContext* context, const v1::GetMachineRequest* request,
                                       v1::Machine* response) override {
    return AnswerNow(parts_, context, {"GetMachine", Role::kReadOnly}, [&](const Caller&) {
      EncodeMachine(parts_.controller->GetMachine(), response);
      return absl::OkStatus();
    });
  }

  grpc::ServerUnaryReactor* StartMachine(grpc::CallbackServerContext* context, const v1::StartMachineRequest* request,
                                         v1::Machine* response) override {
    return Command(context, "StartMachine", &Controller::StartMachine, response);
  }
  // Waits for the vCPUs, for some seconds if the host is in a bad way.
  grpc::ServerUnaryReactor* PauseMachine(grpc::CallbackServerContext* context, const v1::PauseMachineRequest* request,
                                         v1::Machine* response) override {
    return Command(context, "PauseMachine", &Controller::PauseMachine, response);
  }
  grpc::ServerUnaryReactor* ResumeMachine(grpc::CallbackServerContext* context, const v1::ResumeMachineRequest* request,
                                          v1::Machine* response) override {
    return Command(context, "ResumeMachine", &Controller::ResumeMachine, response);
  }

  // Not behind lists and changes of the policy: whoever wants a machine ended wants it now.
  grpc::ServerUnaryReactor* ShutdownMachine(grpc::CallbackServerContext* context,
                                            const v1::ShutdownMachineRequest* request,
                                            v1::ShutdownMachineResponse* response) override {
    return AnswerNow(parts_, context, {"ShutdownMachine", Role::kOperator}, [&](const Caller& caller) -> absl::Status {
      ASSIGN_OR_RETURN(ShutdownOptions options, DecodeShutdown(*request));
      options.requester = caller.who;
      ASSIGN_OR_RETURN(const absl::Time force_at, parts_.controller->ShutdownMachine(options));
      EncodeForceTime(force_at, response);
      return absl::OkStatus();
    });
  }

  grpc::ServerWriteReactor<v1::WatchEventsResponse>* WatchEvents(grpc::CallbackServerContext* context,
                                                                 const v1::WatchEventsRequest* request) override {
    const absl::Status admitted = parts_.gate->Admit(*context, "WatchEvents", Role::kReadOnly).status();
    if (!admitted.ok()) return EventStream::Refuse(parts_.streams, admitted, EventSource());
    const EventLog* const log = parts_.streams->events();
    const auto command = DecodeWatchEvents(*request, log->newest());
    if (!command.ok()) return EventStream::Refuse(parts_.streams, command.status(), EventSource());
    return EventStream::Start(parts_.streams, LogStreams::Kind::kEvents, EventSource(log, *command));
  }

  grpc::ServerWriteReactor<v1::ReadConsoleResponse>* ReadConsole(grpc::CallbackServerContext* context,
                                                                 const v1::ReadConsoleRequest* request) override {
    absl::Status status = parts_.gate->Admit(*context, "ReadConsole", Role::kOperator).status();
    const ConsoleLog* const log = parts_.streams->console();
    if (const uint64_t size = log->size(); status.ok() && request->offset() > size) {
      status = absl::OutOfRangeError(
          absl::StrCat("offset: is ", request->offset(), ", but the guest has written ", size, " bytes"));
    }
    if (!status.ok()) return ConsoleStream::Refuse(parts_.streams, status, ConsoleSource());
    return ConsoleStream::Start(parts_.streams, LogStreams::Kind::kConsole,
                                ConsoleSource(log, request->offset(), request->follow()));
  }

  grpc::ServerUnaryReactor* AddShare(grpc::CallbackServerContext* context, const v1::AddShareRequest* request,
                                     v1::Share* response) override {
    return AnswerNow(parts_, context, {"AddShare", Role::kOperator}, [](const Caller&) {
      return absl::UnimplementedError(
          absl::StrCat(kNoHotPlug,
                       "give the share at start (daxvmm run --share), or bind-mount the directory into a "
                       "directory that is shared already (mount --bind, on the host)"));
    });
  }
  grpc::ServerUnaryReactor* RemoveShare(grpc::CallbackServerContext* context, const v1::RemoveShareRequest* request,
                                        v1::RemoveShareResponse* response) override {
    return AnswerNow(parts_, context, {"RemoveShare", Role::kOperator}, [](const Caller&) {
      return absl::UnimplementedError(
          absl::StrCat(kNoHotPlug, "unmount the share in the guest, which gives all that it holds back to the host"));
    });
  }

 private:
  grpc::ServerUnaryReactor* Command(grpc::CallbackServerContext* context, const char* name,
                                    absl::Status (Controller::*command)(), v1::Machine* response) {
    return AnswerLater(parts_, context, {name, Role::kOperator},
                       [this, name, command, response](const Caller& caller) -> absl::Status {
                         RETURN_IF_ERROR((parts_.controller->*command)());
                         LOG(kInfo) << "control: " << name << " by " << caller.who;
                         EncodeMachine(parts_.controller->GetMachine(), response);
                         return absl::OkStatus();
                       });
  }

  const ServiceParts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewMachineService(const ServiceParts& parts) {
  return std::make_unique<MachineService>(parts);
}

}  // namespace daxvmm::control
