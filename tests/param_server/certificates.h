// Authorities and certificates for tests, made on the spot.
#pragma once

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "param_server/tls_credentials.h"

namespace weir::testing {

// A folder of PEM files that goes with the test.
class PemFolder {
 public:
  PemFolder() {
    std::string name = ::testing::TempDir() + "weir-tls-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~PemFolder() { std::filesystem::remove_all(path_); }
  PemFolder(const PemFolder&) = delete;
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Whose word counts, on P-256. File `NAME.pem` of the folder is its certificate.
class Authority {
 public:
  Authority(const PemFolder* folder, const std::string& name) : folder_(*folder), name_(name), key_(NewKey()) {
    certificate_ = NewCertificate(key_.get(), name, -3600, 3600);
    Extend(certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
    X509_set_issuer_name(certificate_.get(), X509_get_subject_name(certificate_.get()));
    EXPECT_GT(X509_sign(certificate_.get(), key_.get(), EVP_sha256()), 0);
    Save(path(), [&](FILE* file) { return PEM_write_X509(file, certificate_.get()); });
  }

  std::string path() const { return folder_.File(name_ + ".pem"); }

  // A certificate for `alternative_names` ("IP:127.0.0.1,DNS:localhost") that ends so many seconds from now, and a key.
  TlsFiles Issue(const std::string& host, const std::string& alternative_names = "IP:127.0.0.1",
                 int64_t ends_s = 3600) const {
    const Key key = NewKey();
    const Certificate certificate = NewCertificate(key.get(), host, -7200, ends_s);
    Extend(certificate.get(), NID_subject_alt_name, alternative_names);
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
    EXPECT_GT(X509_sign(certificate.get(), key_.get(), EVP_sha256()), 0);
    const std::string stem = name_ + "-" + host;
    TlsFiles files{.certificate = folder_.File(stem + ".pem"), .key = folder_.File(stem + ".key"), .authority = path()};
    Save(files.certificate, [&](FILE* file) { return PEM_write_X509(file, certificate.get()); });
    Save(files.key,
         [&](FILE* file) { return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
    return files;
  }

 private:
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

  static Key NewKey() { return {EVP_EC_gen("P-256"), &EVP_PKEY_free}; }

  static Certificate NewCertificate(EVP_PKEY* key, const std::string& name, int64_t from_s, int64_t to_s) {
    static int serial = 0;
    Certificate certificate{X509_new(), &X509_free};
    X509_set_version(certificate.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), from_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), to_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_pubkey(certificate.get(), key);
    return certificate;
  }

  static void Extend(X509* certificate, int nid, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    ASSERT_NE(extension, nullptr) << value;
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }

  template <typename Writer>
  static void Save(const std::string& path, const Writer& write) {
    FILE* file = fopen(path.c_str(), "w");
    ASSERT_NE(file, nullptr) << path;
    EXPECT_EQ(write(file), 1) << path;
    EXPECT_EQ(fclose(file), 0) << path;
  }

  const PemFolder& folder_;
  const std::string name_;
  Key key_;
  Certificate certificate_{nullptr, &X509_free};
};

inline std::shared_ptr<const TlsCredentials> Loaded(const TlsFiles& files) {
  auto loaded = TlsCredentials::Load(files);
  EXPECT_TRUE(loaded.ok()) << loaded.status().ToString();
  return loaded.ok() ? *loaded : nullptr;
}

}  // namespace weir::testing
