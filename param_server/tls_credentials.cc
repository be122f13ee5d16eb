#include "param_server/tls_credentials.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace weir {
namespace {

// What OpenSSL noted last on this thread.
std::string OpenSslError() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason ? reason : "no reason given";
}

std::string Name(const char* field, const std::string& path) {
  return fmt::format("cluster.tls.{} \"{}\"", field, path);
}

// OpenSSL's own errors do not tell a missing file from a damaged one.
Status CheckReadable(const char* field, const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return ErrnoStatus(errno, Name(field, path));
  close(file);
  return Status();
}

Status CheckReadable(const TlsFiles& files) {
  WEIR_RETURN_IF_ERROR(CheckReadable("certificate", files.certificate));
  WEIR_RETURN_IF_ERROR(CheckReadable("key", files.key));
  return CheckReadable("authority", files.authority);
}

Status ReadFiles(const TlsFiles& files, SSL_CTX* context) {
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) {
    return InvalidArgument(
        fmt::format("{}: expected a certificate in PEM: {}", Name("certificate", files.certificate), OpenSslError()));
  }
  // Never a question at a terminal that a rank does not have.
  SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return -1; });
  if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return InvalidArgument(fmt::format("{}: expected the private key of {} in PEM, without a passphrase: {}",
                                       Name("key", files.key), Name("certificate", files.certificate), OpenSslError()));
  }
  if (SSL_CTX_load_verify_locations(context, files.authority.c_str(), nullptr) != 1) {
    return InvalidArgument(
        fmt::format("{}: expected certificates in PEM: {}", Name("authority", files.authority), OpenSslError()));
  }
  return Status();
}

// As the other end will see it.
Status CheckChain(const TlsFiles& files, SSL_CTX* context, const char* purpose) {
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context, &chain);
  const std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> check(X509_STORE_CTX_new(),
                                                                              &X509_STORE_CTX_free);
  if (!check ||
      X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(context), SSL_CTX_get0_certificate(context), chain) !=
          1 ||
      X509_STORE_CTX_set_default(check.get(), purpose) != 1) {
    return Internal(fmt::format("OpenSSL: {}", OpenSslError()));
  }
  if (X509_verify_cert(check.get()) == 1) return Status();
  const char* reason = X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get()));
  ERR_clear_error();
  return InvalidArgument(
      fmt::format("{} does not stand up to {} as a {}: {}; both ends of a connection would refuse it",
                  Name("certificate", files.certificate), Name("authority", files.authority), purpose, reason));
}

}  // namespace

Result<std::shared_ptr<const TlsCredentials>> TlsCredentials::Load(const TlsFiles& files) {
  WEIR_RETURN_IF_ERROR(CheckReadable(files));
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_method()), &SSL_CTX_free);
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1) {
    return Internal(fmt::format("OpenSSL: {}", OpenSslError()));
  }
  // Resumed sessions would pass over a certificate that has expired.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  // The chain that was checked is the one that is shown: that of the certificate's file, without the authority's own.
  SSL_CTX_set_mode(context.get(), SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  WEIR_RETURN_IF_ERROR(ReadFiles(files, context.get()));
  WEIR_RETURN_IF_ERROR(CheckChain(files, context.get(), "ssl_server"));
  WEIR_RETURN_IF_ERROR(CheckChain(files, context.get(), "ssl_client"));
  return std::shared_ptr<const TlsCredentials>(new TlsCredentials(std::move(context)));
}

Result<ssl_st*> TlsCredentials::NewServerSession() const {
  SSL* session = SSL_new(context_.get());
  if (!session) return ResourceExhausted(fmt::format("OpenSSL: {}", OpenSslError()));
  return session;
}

Result<ssl_st*> TlsCredentials::NewClientSession(const std::string& host) const {
  WEIR_ASSIGN_OR_RETURN(SSL* const session, NewServerSession());
  X509_VERIFY_PARAM* rules = SSL_get0_param(session);
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str()) == 1) return session;
  ERR_clear_error();
  if (X509_VERIFY_PARAM_set1_host(rules, host.c_str(), host.size()) == 1 &&
      SSL_set_tlsext_host_name(session, host.c_str()) == 1) {
    return session;
  }
  SSL_free(session);
  return InvalidArgument(fmt::format("\"{}\" is no host name that a certificate could have: {}", host, OpenSslError()));
}

}  // namespace weir
