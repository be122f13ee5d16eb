#include "param_server/client/pull_call.h"

#include <cstring>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "param_server/wire_values.h"

namespace weir {
namespace {

// Rows copied one by one; the common dims get a loop with a size known to the compiler.
template <typename Copy>
void ForRowSize(int dim, Copy copy) {
  switch (dim) {
    case 1:
      return copy(std::integral_constant<size_t, sizeof(float)>());
    case 8:
      return copy(std::integral_constant<size_t, 8 * sizeof(float)>());
    case 16:
      return copy(std::integral_constant<size_t, 16 * sizeof(float)>());
    case 32:
      return copy(std::integral_constant<size_t, 32 * sizeof(float)>());
    case 64:
      return copy(std::integral_constant<size_t, 64 * sizeof(float)>());
    default:
      return copy(size_t{sizeof(float)} * dim);
  }
}

// rows [.., dim] at the positions: from `in`, one after the other.
void Scatter(const uint8_t* in, WireConfig::Type type, int dim, std::span<const uint32_t> positions, float* rows) {
  if (type != WireConfig::FLOAT32) {
    const size_t row_bytes = dim * WireValueBytes(type);
    for (size_t i = 0; i < positions.size(); ++i) {
      DecodeValues(type, in + i * row_bytes, dim, rows + size_t{positions[i]} * dim);
    }
    return;
  }
  ForRowSize(dim, [&](auto row_bytes) {
    for (size_t i = 0; i < positions.size(); ++i) {
      std::memcpy(rows + size_t{positions[i]} * dim, in + i * row_bytes, row_bytes);
    }
  });
}

}  // namespace

void GatherKeys(const KeyPartition& partition, int server, size_t i, std::span<const uint64_t> keys, uint64_t* out) {
  if (partition.whole()) {
    if (!keys.empty()) std::memcpy(out, keys.data(), keys.size_bytes());
    return;
  }
  const std::span<const uint32_t> positions = partition.positions(server, i);
  for (size_t k = 0; k < positions.size(); ++k) out[k] = keys[positions[k]];
}

void GatherRows(const KeyPartition& partition, int server, size_t i, const float* rows, int dim, WireConfig::Type type,
                uint8_t* out) {
  if (partition.whole()) return EncodeValues(type, rows, size_t{partition.count(server, i)} * dim, out);
  const std::span<const uint32_t> positions = partition.positions(server, i);
  if (type != WireConfig::FLOAT32) {
    const size_t row_bytes = dim * WireValueBytes(type);
    for (size_t k = 0; k < positions.size(); ++k) {
      EncodeValues(type, rows + size_t{positions[k]} * dim, dim, out + k * row_bytes);
    }
    return;
  }
  ForRowSize(dim, [&](auto row_bytes) {
    for (size_t k = 0; k < positions.size(); ++k) {
      std::memcpy(out + k * row_bytes, rows + size_t{positions[k]} * dim, row_bytes);
    }
  });
}

size_t PullCall::rows_bytes(int server) const {
  size_t bytes = 0;
  for (size_t i = 0; i < tables.size(); ++i) {
    const TableFormat& format = formats_[tables[i].table];
    bytes += ValuesBytes(format.pull, partition.asked(server, i), format.dim);
  }
  return bytes;
}

void PullCall::ScatterSome(int server, std::span<const std::vector<uint32_t>> positions, const uint8_t* in) {
  std::vector<uint32_t> of_table;
  for (size_t i = 0; i < tables.size(); ++i) {
    const TableFormat& format = formats_[tables[i].table];
    std::span<const uint32_t> to = positions[i];
    if (!partition.whole()) {
      const std::span<const uint32_t> of_server = partition.positions(server, i);
      of_table.clear();
      for (const uint32_t position : positions[i]) of_table.push_back(of_server[position]);
      to = of_table;
    }
    Scatter(in, format.pull, format.dim, to, tables[i].rows);
    in += ValuesBytes(format.pull, to.size(), format.dim);
  }
}

Status PullCall::OnEarlyRows(int server, std::span<const uint8_t> payload) {
  if (!late_[server].empty()) return InvalidArgument(fmt::format("rows of step {} came early twice", step));
  std::vector<TableCount> pulled;
  for (size_t i = 0; i < tables.size(); ++i) pulled.push_back({tables[i].table, partition.asked(server, i)});
  WEIR_ASSIGN_OR_RETURN(const EarlyRows early, DecodeEarlyRows(payload, pulled, formats_));
  ScatterSome(server, early.positions, early.values.data());
  for (size_t i = 0; i < tables.size(); ++i) {
    late_[server].push_back(OtherPositions(early.positions[i], pulled[i].num_keys));
  }
  return Status();
}

Status PullCall::OnLateRows(int server, std::span<const uint8_t> payload) {
  size_t bytes = 0;
  for (size_t i = 0; i < tables.size(); ++i) {
    const TableFormat& format = formats_[tables[i].table];
    bytes += ValuesBytes(format.pull, late_[server][i].size(), format.dim);
  }
  if (payload.size() != bytes) {
    return DataLoss(fmt::format("late rows of step {}: expected {} bytes, found {}", step, bytes, payload.size()));
  }
  ScatterSome(server, late_[server], payload.data());
  return Status();
}

Status PullCall::OnRows(int server, std::span<const uint8_t> payload) {
  if (!late_[server].empty()) return OnLateRows(server, payload);
  if (payload.size() != rows_bytes(server)) {
    return DataLoss(
        fmt::format("rows of step {}: expected {} bytes, found {}", step, rows_bytes(server), payload.size()));
  }
  const uint8_t* in = payload.data();
  for (size_t i = 0; i < tables.size(); ++i) {
    const TableFormat& format = formats_[tables[i].table];
    const size_t count = partition.asked(server, i);
    if (partition.whole()) {
      DecodeValues(format.pull, in, count * format.dim, tables[i].rows);
    } else {
      Scatter(in, format.pull, format.dim, partition.positions(server, i).first(count), tables[i].rows);
    }
    in += ValuesBytes(format.pull, count, format.dim);
  }
  return Status();
}

void PullCall::MakeLocalRows(int server) {
  size_t values = 0;
  for (size_t i = 0; i < tables.size(); ++i) {
    values += size_t{partition.count(server, i)} * formats_[tables[i].table].dim;
  }
  local_rows = Buffer(values * sizeof(float));
}

std::vector<TablePull> PullCall::LocalPulls(int server) {
  std::vector<TablePull> pulls;
  const uint64_t* keys = local_keys;
  float* rows = reinterpret_cast<float*>(local_rows.data());
  for (size_t i = 0; i < tables.size(); ++i) {
    const size_t count = partition.count(server, i);
    pulls.push_back({tables[i].table, {keys, count}, rows});
    keys += count;
    rows += count * formats_[tables[i].table].dim;
  }
  return pulls;
}

void PullCall::ScatterLocalRows(int server) {
  const std::vector<TablePull> pulls = LocalPulls(server);
  for (size_t i = 0; i < tables.size(); ++i) {
    const int dim = formats_[tables[i].table].dim;
    RoundValues(formats_[tables[i].table].pull, pulls[i].keys.size() * dim, pulls[i].rows);
    const auto* in = reinterpret_cast<const uint8_t*>(pulls[i].rows);
    if (!partition.whole()) {
      Scatter(in, WireConfig::FLOAT32, dim, partition.positions(server, i), tables[i].rows);
    } else if (!pulls[i].keys.empty()) {
      std::memcpy(tables[i].rows, in, pulls[i].keys.size() * dim * sizeof(float));
    }
  }
  local_rows = Buffer();
}

bool PullCall::HasKeysOf(std::span<const TablePush> pushes) const {
  if (kind != PullKind::kTraining || pushes.size() != tables.size()) return false;
  for (size_t i = 0; i < pushes.size(); ++i) {
    const auto pulled = tables[i].keys, pushed = pushes[i].keys;
    if (tables[i].table != pushes[i].table || pulled.size() != pushed.size()) return false;
    if (!pulled.empty() && pulled.data() != pushed.data()) return false;
  }
  return true;
}

}  // namespace weir
