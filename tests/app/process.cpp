#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>
#include <utility>

Process::Process(const std::vector<std::string>& command) {
    std::signal(SIGPIPE, SIG_IGN);
    int to[2];
    int from[2];
    if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
        ::dup2(to[0], STDIN_FILENO);
        ::dup2(from[1], STDOUT_FILENO);
        const int nothing = ::open("/dev/null", O_WRONLY);
        ::dup2(nothing, STDERR_FILENO);
        std::vector<char*> arguments;
        for (const auto& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
        arguments.push_back(nullptr);
        ::execv(arguments[0], arguments.data());
        ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    in_ = to[1];
    out_ = from[0];
}

Process::~Process() {
    close_stdin();
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    ::close(out_);
}

void Process::write(const std::string& bytes) {
    std::size_t at = 0;
    while (at < bytes.size()) {
        const ssize_t count = ::write(in_, bytes.data() + at, bytes.size() - at);
        if (count <= 0) return;
        at += static_cast<std::size_t>(count);
    }
}

void Process::close_stdin() {
    if (in_ >= 0) ::close(in_);
    in_ = -1;
}

bool Process::fill() {
    constexpr int kPatienceMs = 60000;
    pollfd waited{out_, POLLIN, 0};
    if (::poll(&waited, 1, kPatienceMs) <= 0) return false;
    char bytes[65536];
    const ssize_t count = ::read(out_, bytes, sizeof bytes);
    if (count <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(count));
    return true;
}

std::string Process::read_line() {
    while (buffer_.find('\n') == std::string::npos)
        if (!fill()) return "";
    const std::size_t end = buffer_.find('\n');
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    return line;
}

std::string Process::read_all() {
    while (fill()) {
    }
    return std::exchange(buffer_, {});
}

void Process::signal(int number) const {
    ::kill(pid_, number);
}

int Process::wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
