// Adds up where the time of a request goes.
#pragma once

#include <chrono>

namespace sdxl {

// Adds the seconds of a scope to a sum.
class Timed {
  public:
    explicit Timed(double& sum) : sum_(sum) {}
    ~Timed() { sum_ += std::chrono::duration<double>(Clock::now() - begin_).count(); }
    Timed(const Timed&) = delete;
    Timed& operator=(const Timed&) = delete;

  private:
    using Clock = std::chrono::steady_clock;

    double& sum_;
    Clock::time_point begin_ = Clock::now();
};

// What `work` gives; its seconds are added to the sum.
template <class Work>
auto timed(double& sum, const Work& work) {
    const Timed scope(sum);
    return work();
}

}  // namespace sdxl
