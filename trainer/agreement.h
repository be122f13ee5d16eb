// What only one worker can meet, all must know: a failed commit, a job that cannot be resumed.
#pragma once

#include "base/status.h"
#include "trainer/collective.h"

namespace weir {

// OK if `mine` is OK on every worker; else the error of the first rank that has one, on all of them.
Status AgreeOnStatus(Collective& collective, const Status& mine);

}  // namespace weir
