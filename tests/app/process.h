// A child process with pipes, as a host has one.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

class Process {
  public:
    explicit Process(const std::vector<std::string>& command);
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    void write(const std::string& bytes);
    void close_stdin();
    // The next line of stdout; "" at its end or after 60 s.
    std::string read_line();
    // Everything that is left of stdout.
    std::string read_all();
    void signal(int number) const;
    // Exit status; 128 + number for a signal.
    int wait();

  private:
    bool fill();

    pid_t pid_ = -1;
    int in_ = -1;
    int out_ = -1;
    std::string buffer_;
};
