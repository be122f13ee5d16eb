// TlsCredentials: what a rank shows of itself, and whom it believes, where connections are encrypted.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"

struct ssl_st;
struct ssl_ctx_st;

namespace weir {

// PEM files: cluster.tls of a job.
struct TlsFiles {
  std::string certificate;  // this host's, then those that lead to an authority
  std::string key;          // of the certificate
  std::string authority;    // certificates of those whom both ends trust
};

// One per rank, shared by its transports; constant after Load, so any thread may call. TLS 1.3 alone, and mutual: a
// server asks for a certificate, each end takes one that leads to `authority`, and the client one whose subject
// alternative name is the host or address that it dialed. Sessions are not resumed: each connection shows
// certificates anew (1 ms of work, mostly one signature and one chain at each end).
class TlsCredentials {
 public:
  // Reads all, and holds it together: the key is the certificate's, and the chain leads to the authority, now, for a
  // server as for a client. Errors name field and path: NotFound or PermissionDenied (a file cannot be read),
  // InvalidArgument (it is no PEM, or the files do not belong together).
  static Result<std::shared_ptr<const TlsCredentials>> Load(const TlsFiles& files);

  // The state of one connection; the caller frees it (SSL_free), or a stream that owns it does. With `host` the end
  // that dialed it, which holds the server to that name.
  Result<ssl_st*> NewServerSession() const;
  Result<ssl_st*> NewClientSession(const std::string& host) const;

 private:
  explicit TlsCredentials(std::shared_ptr<ssl_ctx_st> context) : context_(std::move(context)) {}

  const std::shared_ptr<ssl_ctx_st> context_;
};

}  // namespace weir
