#include <iterator>
#include <utility>

#include "tests/fs_conformance/case_helpers.h"

namespace daxvmm::conformance {

const std::vector<Case>& AllCases() {
  static const auto* const all = [] {
    auto* list = new std::vector<Case>;
    for (const auto family : {NameCases, LinkCases, RenameCases, DirectoryCases, DataCases, SparseCases, AttributeCases,
                              TimeCases, PermissionCases, CreationCases, SetIdCases, XattrCases, AclCases,
                              TemporaryCases, ErrorCases, MappedCases, FlagCases}) {
      std::vector<Case> cases = family();
      list->insert(list->end(), std::make_move_iterator(cases.begin()), std::make_move_iterator(cases.end()));
    }
    return list;
  }();
  return *all;
}

}  // namespace daxvmm::conformance
