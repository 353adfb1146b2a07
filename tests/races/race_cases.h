// For every FUSE operation, what is done with it while the names change.
#ifndef DAXVMM_TESTS_RACES_RACE_CASES_H_
#define DAXVMM_TESTS_RACES_RACE_CASES_H_

#include <cstdint>
#include <span>

#include "tests/races/racer.h"

namespace daxvmm::races {

enum class Family : uint8_t { kLooking, kListing, kMaking, kMoving, kContents, kAttributes, kSession };

struct RaceCase {
  uint32_t opcode;
  Family family;
  uint32_t one_in;  // how seldom it has its turn: what costs much comes less often
  void (*run)(Racer* racer);
};

std::span<const RaceCase> RaceCases();

}  // namespace daxvmm::races

#endif  // DAXVMM_TESTS_RACES_RACE_CASES_H_
