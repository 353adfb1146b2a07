// A scratch directory with guests that do one thing each, and daxvmm started in it.
#ifndef DAXVMM_TESTS_CLI_CLI_FIXTURE_H_
#define DAXVMM_TESTS_CLI_CLI_FIXTURE_H_

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/cli/process.h"

namespace daxvmm::cli_test {

// x86-64 code that runs as the first instructions of a guest, at ring 0 with the first 4 GiB mapped.
extern const std::string kPowerOff;      // by the ACPI sleep control register
extern const std::string kReboot;        // by the ACPI reset register
extern const std::string kPanic;         // by pvpanic
extern const std::string kTripleFault;   // an exception with no handler
extern const std::string kTouchWindow;   // loads from the first page of the first DAX window, if RAM ends below 3 GiB
extern const std::string kPrintAndIdle;  // prints kGreeting to the serial port, then halts with interrupts off
extern const std::string kGreeting;

class CliTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  void Write(const std::string& name, const std::string& content) const;
  // A kernel whose entry is `code`.
  void WriteKernel(const std::string& name, const std::string& code) const;
  std::set<std::string> Files() const;

  // Paths in `arguments` are relative to the scratch directory.
  std::unique_ptr<Process> Start(const std::vector<std::string>& arguments, int input = -1);
  // Runs to the end and expects a single line of usage error that has all of `parts`, status 2, and no new file.
  void ExpectRefused(const std::vector<std::string>& arguments, const std::vector<std::string>& parts);

  static bool HaveKvm();

 private:
  std::string outer_;      // holds the outputs
  std::string directory_;  // where the program runs
  int started_ = 0;
};

#define NEEDS_KVM() \
  if (!HaveKvm()) GTEST_SKIP() << "no /dev/kvm for this user"

}  // namespace daxvmm::cli_test

#endif  // DAXVMM_TESTS_CLI_CLI_FIXTURE_H_
