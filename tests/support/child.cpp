#include "child.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <utility>

namespace sdxl {
namespace {

std::string read_all(int descriptor) {
    std::string all;
    char bytes[4096];
    for (ssize_t count = 0; (count = ::read(descriptor, bytes, sizeof bytes)) > 0;)
        all.append(bytes, static_cast<std::size_t>(count));
    return all;
}

}  // namespace

Child::Child(const std::vector<std::string>& arguments) {
    std::signal(SIGPIPE, SIG_IGN);
    int in[2];
    int out[2];
    int err[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0)
        std::abort();
    std::vector<char*> argv;
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
        ::dup2(in[0], STDIN_FILENO);
        ::dup2(out[1], STDOUT_FILENO);
        ::dup2(err[1], STDERR_FILENO);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    ::close(err[1]);
    input_ = in[1];
    output_ = out[0];
    errors_ = err[0];
}

Child::~Child() {
    close_input();
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        wait();
    }
    close_output();
    ::close(errors_);
}

void Child::send(std::string_view bytes) const {
    while (!bytes.empty()) {
        const ssize_t count = ::write(input_, bytes.data(), bytes.size());
        if (count <= 0) return;
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
}

void Child::close_input() {
    if (input_ >= 0) ::close(input_);
    input_ = -1;
}

void Child::close_output() {
    if (output_ >= 0) ::close(output_);
    output_ = -1;
}

void Child::signal(int number) const {
    ::kill(pid_, number);
}

std::string Child::line() {
    std::size_t end = 0;
    while ((end = buffer_.find('\n', given_)) == std::string::npos) {
        buffer_.erase(0, std::exchange(given_, 0));
        char bytes[65536];
        const ssize_t count = ::read(output_, bytes, sizeof bytes);
        if (count <= 0) return std::exchange(buffer_, "");
        buffer_.append(bytes, static_cast<std::size_t>(count));
    }
    const std::string line = buffer_.substr(given_, end - given_);
    given_ = end + 1;
    return line;
}

std::string Child::rest_of_output() {
    return std::exchange(buffer_, "").substr(std::exchange(given_, 0)) + read_all(output_);
}
std::string Child::rest_of_errors() {
    return read_all(errors_);
}

int Child::wait() {
    int status = 0;
    if (pid_ <= 0 || ::waitpid(pid_, &status, 0) < 0) return -1;
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace sdxl
