// What the head table says, as one report.
#pragma once

#include "model/agency/head_table.h"

namespace sentinel {

AgencyReport agency_report(const HeadTable& heads);

}  // namespace sentinel
