#include "embeddings/store.h"

namespace weir {

Status EmbeddingStore::Pull(int64_t step, PullKind kind, std::span<const TablePull> tables) {
  WEIR_ASSIGN_OR_RETURN(const PullTicket ticket, StartPull(step, kind, tables));
  return FinishPull(ticket);
}

}  // namespace weir
