// A plan as text for a terminal, and as JSON.
#pragma once

#include <string>

#include "launch/cluster_plan/cluster_plan.h"
#include "launch/report/json_writer.h"

namespace weir {

// A line of what was read, then grids of servers, workers and tables; lines without "#".
std::string PlanText(const ClusterPlan& plan);

// One object; docs/operating.md names its fields.
void WritePlan(const ClusterPlan& plan, JsonWriter* json);

}  // namespace weir
