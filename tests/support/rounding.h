// What tests may expect of float arithmetic on the processor that they run on.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace sdxl {

inline bool has_avx512() {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512bw") != 0;
#else
    return false;
#endif
}

// oneDNN's AVX-512 kernels compute a row the same whatever rows are beside it. Of those for older processors
// it chooses one by their number: what is made together is then what is made alone only as far as floats
// round.
// So: to the bit with AVX-512; else within `rounding` of the largest value.
template <class Values>
void expect_as_alone(const Values& together, const Values& alone, double rounding = 1e-4) {
    ASSERT_EQ(together.size(), alone.size());
    if (has_avx512()) {
        EXPECT_EQ(together, alone);
        return;
    }
    double largest = 0, apart = 0;
    for (std::size_t i = 0; i < alone.size(); ++i) {
        const auto value = static_cast<double>(alone[i]);
        largest = std::max(largest, std::abs(value));
        apart = std::max(apart, std::abs(static_cast<double>(together[i]) - value));
    }
    EXPECT_LE(apart, rounding * largest);
}

}  // namespace sdxl
