// PullKind: what the rows of a pull are wanted for.
#pragma once

namespace weir {

// A training pull belongs to the worker's step and is answered once; an evaluation pull may come at any time.
enum class PullKind { kTraining, kEvaluation };

}  // namespace weir
