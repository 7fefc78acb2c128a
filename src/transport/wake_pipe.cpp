#include "transport/wake_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "core/error.h"

namespace sdxl {

WakePipe::WakePipe() {
    if (::pipe2(ends_, O_CLOEXEC | O_NONBLOCK) != 0)
        fail(ErrorCode::kIo, std::string("cannot make a pipe: ") + std::strerror(errno));
}

WakePipe::~WakePipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
}

void WakePipe::wake() const noexcept {
    const int saved = errno;
    const char byte = 0;
    [[maybe_unused]] const auto written = ::write(ends_[1], &byte, 1);
    errno = saved;
}

}  // namespace sdxl
