#include "backend/plugin_loader.h"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

#include "core/error.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

// Of the last failed call into the system's loader.
std::string load_error() {
    const char* text = ::dlerror();
    return text != nullptr ? text : "no reason given";
}

// A libtorch may bring a oneDNN of another version than this program's, under the same names: what it calls
// must be its own. AddressSanitizer refuses that.
#if defined(__SANITIZE_ADDRESS__)
constexpr int kOwnSymbolsFirst = 0;
#else
constexpr int kOwnSymbolsFirst = RTLD_DEEPBIND;
#endif

void* open_library(const std::string& path) {
    return ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | kOwnSymbolsFirst);
}

// Empty where the system does not tell.
fs::path executable_folder() {
    std::error_code error;
    const fs::path executable = fs::read_symlink("/proc/self/exe", error);
    return error ? fs::path() : executable.parent_path();
}

[[noreturn]] void fail_to_load(const std::string& path) {
    fail(ErrorCode::kUnsupported, "the library " + path + " does not load: " + load_error());
}

void* find_and_open(const std::string& library) {
    if (library.find('/') != std::string::npos) {
        if (!fs::exists(library)) fail(ErrorCode::kNotFound, "no library " + library);
        if (void* handle = open_library(library)) return handle;
        fail_to_load(library);
    }
    const fs::path folder = executable_folder();
    const fs::path beside = folder / library, installed = folder.parent_path() / "lib" / library;
    for (const fs::path& path : {beside, installed}) {
        if (!fs::exists(path)) continue;
        if (void* handle = open_library(path)) return handle;
        fail_to_load(path);
    }
    if (void* handle = open_library(library)) return handle;
    fail(ErrorCode::kNotFound, "no library " + library + ": neither " + beside.string() + " nor " +
                                   installed.string() + " is there, and the system has none (" +
                                   load_error() + "). This worker was built or packaged without it");
}

template <class Function>
Function symbol(void* handle, const char* name, const std::string& library) {
    void* address = ::dlsym(handle, name);
    if (address == nullptr) {
        fail(ErrorCode::kUnsupported,
             "the library " + library + " is none of the worker's backends: it has no " + name);
    }
    return reinterpret_cast<Function>(address);
}

}  // namespace

BackendPlugin& load_backend_plugin(const std::string& library) {
    void* handle = find_and_open(library);
    const int abi = symbol<PluginAbiEntry>(handle, kPluginAbiEntry, library)();
    if (abi != kPluginAbi) {
        fail(ErrorCode::kUnsupported, "the library " + library + " has the interface of version " +
                                          std::to_string(abi) + ", this worker that of version " +
                                          std::to_string(kPluginAbi) + ": use the one built with it");
    }
    BackendPlugin* plugin = symbol<PluginEntry>(handle, kPluginEntry, library)();
    if (plugin == nullptr) fail(ErrorCode::kUnsupported, "the library " + library + " brings no backend");
    return *plugin;
}

}  // namespace sdxl
