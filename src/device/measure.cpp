#include "device/measure.h"

#include <chrono>
#include <vector>

namespace sdxl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kLeastSide = 128;
constexpr std::int64_t kMostSide = 4096;

std::vector<float> some_values(std::int64_t count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    std::uint32_t state = 1;
    for (float& value : values) {
        state = state * 1664525U + 1013904223U;
        value = static_cast<float>(state >> 8U) * 0x1p-23F - 1;
    }
    return values;
}

// Seconds that one call takes, the least of some runs of as many as fit into `seconds` together: what else
// the machine does meanwhile only adds to it. Reading the end of what the last call made waits for all of
// them, also where calls return before they are done.
template <class Work>
double seconds_of(Backend& backend, double seconds, Work work) {
    constexpr int kRuns = 4;
    const auto run = [&](int calls) {
        const auto begin = Clock::now();
        Tensor last;
        for (int i = 0; i < calls; ++i) last = work();
        backend.download(last.slice(last.dim(0) - 1, 1));
        return std::chrono::duration<double>(Clock::now() - begin).count() / calls;
    };
    run(1);  // makes what is made once
    double least = std::min(run(1), run(1));
    const int calls = static_cast<int>(std::clamp(seconds / kRuns / least, 1.0, 1e4));
    for (int i = 0; i < kRuns; ++i) least = std::min(least, run(calls));
    return least;
}

double product_tflops(Backend& backend, WeightForm form, double seconds) {
    constexpr int kSides = 3;  // that take about as long as all that are smaller
    double best = 0;
    for (std::int64_t side = kLeastSide; side <= kMostSide; side *= 2) {
        const auto values = some_values(side * side);
        const HostView view{reinterpret_cast<const std::byte*>(values.data()),
                            DType::kF32,
                            {side, side},
                            "measured",
                            nullptr};
        const WeightPtr weight = backend.prepare_linear({{view}, {}}, form);
        const Tensor x = backend.upload(values, {side, side}, form.compute);
        const double taken = seconds_of(backend, seconds / kSides,
                                        [&] { return backend.linear(x, *weight, Activation::kNone, {}); });
        const auto n = static_cast<double>(side);
        best = std::max(best, 2 * n * n * n / taken * 1e-12);
        if (taken > seconds / 10) break;
    }
    return best;
}

double bandwidth(Backend& backend, const MeasureOptions& options) {
    constexpr std::int64_t kRow = 4096;
    const std::int64_t rows = options.array_bytes / kRow / static_cast<std::int64_t>(sizeof(float));
    const Tensor a = backend.upload(some_values(rows * kRow), {rows, kRow}, DType::kF32);
    const Tensor b = backend.add(a, a);
    const double taken = seconds_of(backend, options.seconds, [&] { return backend.add(a, b); });
    return 3 * static_cast<double>(a.bytes()) / taken * 1e-9;
}

}  // namespace

DeviceRates measure_rates(Backend& backend, const MeasureOptions& options) {
    const double seconds = options.seconds;
    DeviceRates rates;
    rates.float32_tflops = product_tflops(backend, {DType::kF32, false}, seconds);
    DType compute = DType::kF32;
    for (const DType sixteen : {DType::kBF16, DType::kF16}) {
        if (!backend.supports(sixteen)) continue;
        const double found = product_tflops(backend, {sixteen, false}, seconds);
        if (found > rates.sixteen_tflops) compute = sixteen;
        rates.sixteen_tflops = std::max(rates.sixteen_tflops, found);
    }
    if (!backend.supports_int8(compute)) compute = DType::kF32;
    if (backend.supports_int8(compute)) rates.int8_tflops = product_tflops(backend, {compute, true}, seconds);
    rates.bandwidth_gb_s = bandwidth(backend, options);
    backend.release_cached_memory();
    return rates;
}

}  // namespace sdxl
