// Says by its version whether it calls the oneDNN that it was linked with (-2) or this program's (-3).
extern "C" const void* dnnl_version();
extern "C" int sdxl_backend_plugin_abi() {
    return dnnl_version() == nullptr ? -2 : -3;
}
