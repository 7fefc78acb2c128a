// The backends that are held against the reference, and how close they must come. A new one is a line in the
// .cpp. Those of libtorch are there where SDXL_TEST_TORCH is defined: it was built.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "privateuse1/heap_device.h"

namespace sdxl {

struct BackendCase {
    std::string name;  // of the test: letters and digits
    std::function<std::unique_ptr<Backend>()> make;
    DType compute;
    double tolerance;  // largest relative L2 error of one op
};

// For the lists of tests, which would show its bytes.
inline std::ostream& operator<<(std::ostream& out, const BackendCase& one) {
    return out << one.name;
}

const std::vector<BackendCase>& backends_under_test();

// Before tests are listed: what the torch backend does on this device is held against the reference, too.
void test_torch_device(const std::string& id);

#ifdef SDXL_TEST_TORCH
// The torch backend on the test's own device (tests/backend/privateuse1).
std::unique_ptr<Backend> make_heap_device_backend();
// Of that device, once there is a backend on it.
HeapDeviceCounts heap_device_memory();
void limit_heap_device(std::uint64_t bytes);
#endif

}  // namespace sdxl
