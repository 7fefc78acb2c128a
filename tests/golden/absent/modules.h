// Stands in for modules.h while the module checks are not part of the build.
#pragma once

#include <string>

int run_modules(const std::string& dir, const std::string& backend);
