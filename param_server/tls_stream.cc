#include "param_server/tls_stream.h"

#include <array>
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <asio/ssl/error.hpp>
#include <asio/ssl/stream.hpp>
#include <asio/steady_timer.hpp>

namespace weir {
namespace {

// For the reason of a refusal to reach the peer.
constexpr auto kLastWords = std::chrono::seconds(1);

// Whether it is the peer's word that this end's certificate, or this end, will not do: no other connection would.
bool IsRefusal(const asio::error_code& error) {
  if (error.category() != asio::error::get_ssl_category()) return false;
  switch (ERR_GET_REASON(static_cast<unsigned long>(error.value()))) {
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return true;
    default:
      return false;
  }
}

// Of reads and writes, and so of what the server says after the worker's last word of the handshake.
Status TlsStatus(const asio::error_code& error) {
  if (!error) return Status();
  if (error == asio::ssl::error::stream_truncated) return Unavailable("closed the connection");
  if (IsRefusal(error)) {
    return Unauthenticated(
        fmt::format("refuses this host's certificate (cluster.tls.certificate): TLS: {}", error.message()));
  }
  if (error.category() != asio::error::get_ssl_category()) return SocketStatus(error);
  return Unavailable(fmt::format("TLS: {}", error.message()));
}

class TlsStream : public Stream {
 public:
  // host: that a worker dialed; empty at the server's end. Takes the session.
  TlsStream(Socket socket, SSL* session, std::string host)
      : stream_(std::move(socket), session), last_words_(stream_.get_executor()), host_(std::move(host)) {}

  void Handshake(OnReady done) override {
    const auto end = host_.empty() ? asio::ssl::stream_base::server : asio::ssl::stream_base::client;
    stream_.async_handshake(end, [this, done = std::move(done)](const asio::error_code& error) {
      if (!error) return done(Status());
      const Status reason = HandshakeStatus(error);
      if (error.category() != asio::error::get_ssl_category()) return done(reason);
      CloseAfterLastWords([done, reason] { done(reason); });
    });
  }

  void Read(asio::mutable_buffer to, OnBytes done) override {
    stream_.async_read_some(asio::buffer(to), [done = std::move(done)](const asio::error_code& error, size_t bytes) {
      done(TlsStatus(error), bytes);
    });
  }

  void Write(const WriteBuffers& from, OnBytes done) override {
    stream_.async_write_some(
        from, [done = std::move(done)](const asio::error_code& error, size_t bytes) { done(TlsStatus(error), bytes); });
  }

  size_t WriteNow(const WriteBuffers&) override { return 0; }

  void EndWrites() override {
    asio::error_code error;
    socket().shutdown(asio::socket_base::shutdown_send, error);
  }

  void Close() override {
    asio::error_code error;
    socket().close(error);
    last_words_.cancel();
  }

  bool is_unix() const override { return false; }
  asio::any_io_executor executor() override { return stream_.get_executor(); }

 private:
  Socket& socket() { return stream_.next_layer(); }

  Status HandshakeStatus(const asio::error_code& error) {
    if (error.category() != asio::error::get_ssl_category()) return TlsStatus(error).Wrap("TLS handshake");
    const long verified = SSL_get_verify_result(stream_.native_handle());
    const std::string why = verified == X509_V_OK ? error.message() : X509_verify_cert_error_string(verified);
    if (host_.empty()) return Unauthenticated(fmt::format("TLS handshake: {}", why));
    if (verified == X509_V_OK) return TlsStatus(error).Wrap("TLS handshake");
    return Unauthenticated(
        fmt::format("TLS handshake: expected a certificate of an authority in cluster.tls.authority with the subject "
                    "alternative name {}, found: {}",
                    host_, why));
  }

  // Closing at once, with bytes of the peer unread, would reset the connection, and the peer would not learn why.
  // `then` keeps this alive.
  void CloseAfterLastWords(std::function<void()> then) {
    EndWrites();
    last_words_.expires_after(kLastWords);
    last_words_.async_wait([this, held = then](const asio::error_code& stopped) {
      asio::error_code ignored;
      if (!stopped) socket().close(ignored);
    });
    Discard(std::move(then));
  }

  void Discard(std::function<void()> then) {
    socket().async_read_some(asio::buffer(discarded_),
                             [this, then = std::move(then)](const asio::error_code& error, size_t) {
                               if (!error) return Discard(then);
                               last_words_.cancel();
                               then();
                             });
  }

  asio::ssl::stream<Socket> stream_;
  asio::steady_timer last_words_;
  const std::string host_;
  std::array<char, 1024> discarded_;
};

}  // namespace

Result<std::unique_ptr<Stream>> AcceptTls(Stream::Socket socket, const TlsCredentials& credentials) {
  WEIR_ASSIGN_OR_RETURN(SSL* const session, credentials.NewServerSession());
  return std::unique_ptr<Stream>(std::make_unique<TlsStream>(std::move(socket), session, ""));
}

Result<std::unique_ptr<Stream>> DialTls(Stream::Socket socket, const TlsCredentials& credentials,
                                        const std::string& host) {
  WEIR_ASSIGN_OR_RETURN(SSL* const session, credentials.NewClientSession(host));
  return std::unique_ptr<Stream>(std::make_unique<TlsStream>(std::move(socket), session, host));
}

}  // namespace weir
