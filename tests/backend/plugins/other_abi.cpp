// A library of another version of the interface. Its entry must not be called.
#include <cstdlib>

extern "C" int sdxl_backend_plugin_abi() {
    return -1;
}
extern "C" void* sdxl_backend_plugin() {
    std::abort();
}
