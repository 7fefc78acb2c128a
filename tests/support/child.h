// Child: a process with pipes to its stdin, stdout and stderr. Killed and waited for if still there at the
// end.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace sdxl {

class Child {
  public:
    explicit Child(const std::vector<std::string>& arguments);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    void send(std::string_view bytes) const;
    void close_input();
    void close_output();
    void signal(int number) const;
    pid_t pid() const { return pid_; }
    // The next line of stdout; "" at its end.
    std::string line();
    std::string rest_of_output();
    std::string rest_of_errors();
    // Waits for the end; the exit status, or minus the signal that killed it.
    int wait();

  private:
    pid_t pid_ = -1;
    int input_ = -1;
    int output_ = -1;
    int errors_ = -1;
    std::string buffer_;     // of output_, read and not given out
    std::size_t given_ = 0;  // of buffer_
};

}  // namespace sdxl
