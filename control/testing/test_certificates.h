// Throw-away certificates, made as docs/control_security.md tells an operator to make real ones.
#ifndef DAXVMM_CONTROL_TESTING_TEST_CERTIFICATES_H_
#define DAXVMM_CONTROL_TESTING_TEST_CERTIFICATES_H_

#include <string>

namespace daxvmm::control {

// Files NAME.crt and NAME.key in `directory`, made by the program `openssl`.
class TestCertificates {
 public:
  explicit TestCertificates(std::string directory) : directory_(std::move(directory)) {}

  // A self-signed authority.
  void MakeCa(const std::string& name) const;
  // Signed by `ca`, for `common_name`; `san`, such as "DNS:localhost,IP:127.0.0.1", may be empty. With `expired` it was
  // valid for a day some years ago.
  void Make(const std::string& name, const std::string& ca, const std::string& common_name, const std::string& san,
            bool expired = false) const;

  std::string Crt(const std::string& name) const { return directory_ + "/" + name + ".crt"; }
  std::string Key(const std::string& name) const { return directory_ + "/" + name + ".key"; }

 private:
  void OpenSsl(const std::string& arguments) const;

  const std::string directory_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_TESTING_TEST_CERTIFICATES_H_
