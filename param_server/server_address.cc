#include "param_server/server_address.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>

#include <fmt/format.h>

namespace weir {

std::string ServerAddress::HostPort() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

std::string ServerAddress::ToString() const { return fmt::format("{} {} {} {}", host, port, machine, unix_name); }

Result<ServerAddress> ServerAddress::FromString(std::string_view text) {
  std::array<std::string_view, 4> parts;
  std::string_view rest = text;
  for (size_t i = 0; i < 3; ++i) {
    const size_t space = rest.find(' ');
    if (space == std::string_view::npos) {
      return InvalidArgument(fmt::format("server address \"{}\": expected 4 fields, found {}", text, i + 1));
    }
    parts[i] = rest.substr(0, space);
    rest.remove_prefix(space + 1);
  }
  parts[3] = rest;
  ServerAddress address{
      .host = std::string(parts[0]), .machine = std::string(parts[2]), .unix_name = std::string(parts[3])};
  const auto [end, error] = std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), address.port);
  if (error != std::errc() || end != parts[1].data() + parts[1].size() || address.port < 1 || address.port > 65535) {
    return InvalidArgument(
        fmt::format("server address \"{}\": expected a port of 1 to 65535, found \"{}\"", text, parts[1]));
  }
  if (address.host.empty()) return InvalidArgument(fmt::format("server address \"{}\" has no host", text));
  return address;
}

std::string HostName() {
  std::array<char, 257> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  std::string result(name.data());
  for (char& c : result) {
    if (c <= ' ') c = '_';
  }
  return result;
}

std::string MachineIdentity() {
  std::string boot_id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot_id;
  return fmt::format("{}/{}", HostName(), boot_id);
}

}  // namespace weir
