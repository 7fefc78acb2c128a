// Loops over the CPU's cores, on the same OpenMP threads that oneDNN uses (one thread when built without
// OpenMP).
//
// The body must not throw and must not call parallel_for itself.
#pragma once

#include <algorithm>
#include <cstdint>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace sdxl::onednn {

inline int thread_count() {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

// body(begin, end) over [0, count), split into one contiguous piece per thread, multiples of `grain` where
// possible.
template <class Body>
void parallel_ranges(std::int64_t count, std::int64_t grain, const Body& body) {
    const std::int64_t pieces =
        std::max<std::int64_t>(1, std::min<std::int64_t>(thread_count(), count / grain));
    const std::int64_t step = (count + pieces - 1) / pieces;
#ifdef _OPENMP
#pragma omp parallel for num_threads(static_cast <int>(pieces)) schedule(static, 1) if (pieces > 1)
#endif
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
        const std::int64_t begin = piece * step;
        const std::int64_t end = std::min(count, begin + step);
        if (begin < end) body(begin, end);
    }
}

// body(task, thread) for every task in [0, count), handed out as threads become free.
template <class Body>
void parallel_tasks(std::int64_t count, const Body& body) {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1)
#endif
    for (std::int64_t task = 0; task < count; ++task) {
#ifdef _OPENMP
        body(task, omp_get_thread_num());
#else
        body(task, 0);
#endif
    }
}

}  // namespace sdxl::onednn
