#include "app/sweep/agency_stats.h"

#include <nlohmann/json.hpp>

#include "model/agency/report.h"

namespace sentinel {

nlohmann::json agency_stats(const HeadTable& heads) { return to_json(agency_report(heads)); }

}  // namespace sentinel
