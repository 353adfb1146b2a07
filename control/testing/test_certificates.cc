#include "control/testing/test_certificates.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/log.h"

namespace daxvmm::control {

void TestCertificates::OpenSsl(const std::string& arguments) const {
  const std::string log = directory_ + "/openssl.log";
  const std::string command = "cd '" + directory_ + "' && openssl " + arguments + " >>" + log + " 2>&1";
  if (std::system(command.c_str()) == 0) return;
  std::ifstream text(log);
  const std::string content((std::istreambuf_iterator<char>(text)), std::istreambuf_iterator<char>());
  std::fprintf(stderr, "%s\n%s\n", command.c_str(), content.c_str());
  CHECK(false);
}

void TestCertificates::MakeCa(const std::string& name) const {
  OpenSsl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=" + name + "' -keyout " +
          name + ".key -out " + name + ".crt");
}

void TestCertificates::Make(const std::string& name, const std::string& ca, const std::string& common_name,
                            const std::string& san, bool expired) const {
  const std::string extension = san.empty() ? "" : " -addext subjectAltName=" + san;
  OpenSsl("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=" + common_name + "'" + extension +
          " -keyout " + name + ".key -out " + name + ".csr");
  if (!expired) {
    OpenSsl("x509 -req -in " + name + ".csr -copy_extensions copy -CA " + ca + ".crt -CAkey " + ca +
            ".key -CAcreateserial -days 365 -out " + name + ".crt");
    return;
  }
  // Only `openssl ca` of this version takes dates.
  std::ofstream(directory_ + "/" + name + ".cnf")
      << "[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=.\ndatabase=" << name << ".db\nserial=" << name
      << ".serial\ndefault_md=sha256\npolicy=p\nunique_subject=no\ncopy_extensions=copy\n[p]\ncommonName=supplied\n";
  std::ofstream(directory_ + "/" + name + ".db");
  std::ofstream(directory_ + "/" + name + ".serial") << "1000\n";
  OpenSsl("ca -batch -notext -config " + name + ".cnf -cert " + ca + ".crt -keyfile " + ca + ".key -in " + name +
          ".csr -startdate 20200101000000Z -enddate 20200102000000Z -out " + name + ".crt");
}

}  // namespace daxvmm::control
