// Where a server listens, as ranks tell each other.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace weir {

struct ServerAddress {
  std::string host;       // numeric address or host name
  int port = 0;           // TCP
  std::string machine;    // host name and boot id: equal on ranks that may share Unix sockets
  std::string unix_name;  // abstract Unix socket on that machine; empty when there is none

  // One line without line breaks, for any transport of text.
  std::string ToString() const;
  static Result<ServerAddress> FromString(std::string_view text);

  // For messages: "127.0.0.1:5000".
  std::string HostPort() const;
};

// This machine's name (at most 256 bytes), and its name with the boot id.
std::string HostName();
std::string MachineIdentity();

}  // namespace weir
