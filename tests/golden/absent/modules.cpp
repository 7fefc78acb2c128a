#include "modules.h"

#include <cstdio>

int run_modules(const std::string&, const std::string&) {
    std::fprintf(stderr, "sdxl-golden: the module checks are not part of this build\n");
    return 2;
}
