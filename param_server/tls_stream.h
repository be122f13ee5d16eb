// TLS under a Connection.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "param_server/stream.h"
#include "param_server/tls_credentials.h"

namespace weir {

// The server's end of an accepted socket, and the worker's of one that it dialed as `host` (numeric address or name).
// The handshake fails with Unauthenticated where one end does not accept the other's certificate, and says why at
// both. An SSL object is one thread's, so WriteNow writes nothing: frames go through the transport's thread. A byte
// costs a pass of AES-GCM at each end, and one copy on the way.
//
// EndWrites ends the socket without TLS's own last word: what tells an end from a cut is the protocol's Goodbye.
Result<std::unique_ptr<Stream>> AcceptTls(Stream::Socket socket, const TlsCredentials& credentials);
Result<std::unique_ptr<Stream>> DialTls(Stream::Socket socket, const TlsCredentials& credentials,
                                        const std::string& host);

}  // namespace weir
