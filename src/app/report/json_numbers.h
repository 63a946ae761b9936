// An old name, which sweep/profile_options.cc still uses.
#pragma once

#include "base/json_numbers.h"
