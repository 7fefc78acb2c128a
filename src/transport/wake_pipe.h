// WakePipe: ends a poll() from another thread or from a signal handler.
#pragma once

namespace sdxl {

class WakePipe {
  public:
    // Fails with kIo.
    WakePipe();
    ~WakePipe();
    WakePipe(const WakePipe&) = delete;
    WakePipe& operator=(const WakePipe&) = delete;

    // Readable from the first wake() on.
    int descriptor() const { return ends_[0]; }
    void wake() const noexcept;

  private:
    int ends_[2] = {-1, -1};
};

}  // namespace sdxl
