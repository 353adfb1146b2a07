#include "control/tls_files.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace daxvmm::control {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Certificate = std::unique_ptr<X509, Free>;
using Bio = std::unique_ptr<BIO, Free>;

struct File {
  absl::string_view flag;
  const std::string& path;

  absl::Status Wrong(absl::string_view why) const {
    ERR_clear_error();  // this thread's, which gRPC uses as well
    return absl::InvalidArgumentError(absl::StrCat(flag, ": ", path, ": ", why));
  }
};

absl::StatusOr<Bio> Open(const File& file) {
  if (file.path.empty()) return absl::InvalidArgumentError(absl::StrCat(file.flag, ": needed with --control-tcp"));
  errno = 0;
  Bio bio(BIO_new_file(file.path.c_str(), "re"));
  if (bio == nullptr) return file.Wrong(errno != 0 ? std::strerror(errno) : "cannot be opened");
  return bio;
}

// No key is asked for at the terminal, which is the guest's console.
int NoPassword(char* /*buffer*/, int /*size*/, int /*write*/, void* /*context*/) { return -1; }

absl::StatusOr<std::vector<Certificate>> ReadCertificates(const File& file) {
  ASSIGN_OR_RETURN(const Bio bio, Open(file));
  std::vector<Certificate> all;
  while (X509* const one = PEM_read_bio_X509(bio.get(), nullptr, &NoPassword, nullptr)) all.emplace_back(one);
  if (all.empty()) return file.Wrong("holds no certificate in PEM form");
  ERR_clear_error();  // of the end of the file
  return all;
}

absl::Status CheckTime(const File& file, const X509* certificate) {
  if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
    return file.Wrong("the certificate is not valid yet");
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) return file.Wrong("the certificate has expired");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckTlsFiles(const TlsFiles& files) {
  const File certificate = {"--control-tls-cert", files.certificate};
  const File key = {"--control-tls-key", files.key};
  const File ca = {"--control-tls-client-ca", files.client_ca};
  ASSIGN_OR_RETURN(const std::vector<Certificate> chain, ReadCertificates(certificate));
  RETURN_IF_ERROR(CheckTime(certificate, chain[0].get()));
  ASSIGN_OR_RETURN(const Bio bio, Open(key));
  const std::unique_ptr<EVP_PKEY, Free> secret(PEM_read_bio_PrivateKey(bio.get(), nullptr, &NoPassword, nullptr));
  if (secret == nullptr) return key.Wrong("holds no private key in PEM form, or an encrypted one");
  if (X509_check_private_key(chain[0].get(), secret.get()) != 1) {
    return key.Wrong(absl::StrCat("is not the key of ", files.certificate));
  }
  ASSIGN_OR_RETURN(const std::vector<Certificate> roots, ReadCertificates(ca));
  absl::Status time;
  for (const Certificate& root : roots) {
    time = CheckTime(ca, root.get());
    if (time.ok()) break;
  }
  return time;
}

}  // namespace daxvmm::control
