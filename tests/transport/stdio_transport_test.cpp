// Lines through pipes: where they end, how long they may be, who may wake the reader, and a host that leaves.
#include "transport/stdio_transport.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <set>
#include <thread>
#include <vector>

namespace sdxl {
namespace {

class Pipe {
  public:
    Pipe() {
        if (::pipe(ends_) != 0) std::abort();
    }
    ~Pipe() {
        close_read();
        close_write();
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    int read_end() const { return ends_[0]; }
    int write_end() const { return ends_[1]; }
    void close_read() { close_one(ends_[0]); }
    void close_write() { close_one(ends_[1]); }

    void send(std::string_view bytes) const {
        while (!bytes.empty()) {
            const auto count = ::write(ends_[1], bytes.data(), bytes.size());
            if (count <= 0) return;
            bytes.remove_prefix(static_cast<std::size_t>(count));
        }
    }
    std::string receive_all() const {
        std::string all;
        char bytes[4096];
        for (ssize_t count = 0; (count = ::read(ends_[0], bytes, sizeof bytes)) > 0;)
            all.append(bytes, static_cast<std::size_t>(count));
        return all;
    }

  private:
    static void close_one(int& end) {
        if (end >= 0) ::close(end);
        end = -1;
    }
    int ends_[2] = {-1, -1};
};

constexpr std::chrono::milliseconds kLong{60000};
constexpr const char* kTooLong = "<too long>";

// Every line of `bytes`, as the reader gives them.
std::vector<std::string> lines_of(std::string_view bytes, std::size_t most = 64) {
    Pipe input;
    Pipe output;
    StdioTransport transport(input.read_end(), output.write_end(), most);
    std::thread host([&] {
        input.send(bytes);
        input.close_write();
    });
    std::vector<std::string> lines;
    while (const auto line = transport.read_line()) lines.push_back(line->ok() ? **line : kTooLong);
    host.join();
    return lines;
}

using Lines = std::vector<std::string>;

TEST(StdioTransport, SplitsAtLineEndsOfBothKinds) {
    EXPECT_EQ(lines_of("one\ntwo\r\nthree\n"), (Lines{"one", "two", "three"}));
}

TEST(StdioTransport, AcceptsALastLineWithoutItsEnd) {
    EXPECT_EQ(lines_of("one\ntwo"), (Lines{"one", "two"}));
    EXPECT_EQ(lines_of("only\r"), (Lines{"only"}));
}

TEST(StdioTransport, IgnoresBlankLines) {
    EXPECT_EQ(lines_of("\n\r\n  \t \n\none\n\n \n"), (Lines{"one"}));
    EXPECT_EQ(lines_of(""), Lines{});
    EXPECT_EQ(lines_of("   "), Lines{});
}

TEST(StdioTransport, SkipsAByteOrderMarkBeforeTheFirstLineOnly) {
    EXPECT_EQ(lines_of("\xEF\xBB\xBFone\n\xEF\xBB\xBFtwo\n"), (Lines{"one", "\xEF\xBB\xBFtwo"}));
    EXPECT_EQ(lines_of("\xEF\xBB\xBF\none\n"), (Lines{"one"}));
}

TEST(StdioTransport, KeepsZeroBytesAndBrokenUtf8ForTheParser) {
    const std::string bytes("a\0b\xFF\n", 5);
    EXPECT_EQ(lines_of(bytes), (Lines{std::string("a\0b\xFF", 4)}));
}

TEST(StdioTransport, ReportsALineThatIsTooLongOnceAndGoesOn) {
    const std::string exact(64, 'x');
    EXPECT_EQ(lines_of(exact + "\nnext\n"), (Lines{exact, "next"}));
    EXPECT_EQ(lines_of(exact + "y\nnext\n"), (Lines{kTooLong, "next"}));
    // Longer than several reads.
    EXPECT_EQ(lines_of("first\n" + std::string(1 << 20, 'z') + "\nnext\n"),
              (Lines{"first", kTooLong, "next"}));
    // Without its end, too; and its tail is no line of its own.
    EXPECT_EQ(lines_of(std::string(300000, 'z')), (Lines{kTooLong}));
}

TEST(StdioTransport, TooLongSaysTheLimitAndWhatToDo) {
    Pipe input;
    StdioTransport transport(input.read_end(), input.write_end(), 4);
    input.send("12345\n");
    const auto line = transport.read_line();
    ASSERT_TRUE(line && !line->ok());
    EXPECT_EQ(line->error().code, ErrorCode::kInvalidRequest);
    EXPECT_NE(line->error().message.find("4 bytes"), std::string::npos) << line->error().message;
}

TEST(StdioTransport, GivesALineBeforeTheNextOneArrives) {
    Pipe input;
    StdioTransport transport(input.read_end(), input.write_end());
    input.send("one\ntw");
    EXPECT_EQ(**transport.read_line(), "one");
    input.send("o\n");
    EXPECT_EQ(**transport.read_line(), "two");
}

TEST(StdioTransport, InterruptEndsAReadThatWaits) {
    Pipe input;
    StdioTransport transport(input.read_end(), input.write_end());
    std::thread waker([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        transport.interrupt();
    });
    EXPECT_FALSE(transport.read_line());
    waker.join();
    EXPECT_FALSE(transport.read_line());  // and stays ended
}

TEST(StdioTransport, LinesOfManyThreadsStayWhole) {
    constexpr int kThreads = 8;
    constexpr int kLines = 200;
    Pipe output;
    StdioTransport transport(output.read_end(), output.write_end());
    std::string all;
    std::thread host([&] { all = output.receive_all(); });
    std::vector<std::thread> writers;
    for (int t = 0; t < kThreads; ++t)
        writers.emplace_back([&transport, t] {
            const std::string line(static_cast<std::size_t>(1000 + 997 * t), static_cast<char>('a' + t));
            for (int i = 0; i < kLines; ++i) transport.write_line(line);
        });
    for (auto& writer : writers) writer.join();
    EXPECT_TRUE(transport.flush_for(kLong));
    output.close_write();
    host.join();
    std::size_t count = 0;
    for (std::size_t at = 0; at < all.size(); ++count) {
        const std::size_t end = all.find('\n', at);
        ASSERT_NE(end, std::string::npos);
        const std::string line = all.substr(at, end - at);
        const auto t = static_cast<std::size_t>(line.at(0) - 'a');
        ASSERT_EQ(line, std::string(1000 + 997 * t, line[0]));
        at = end + 1;
    }
    EXPECT_EQ(count, static_cast<std::size_t>(kThreads * kLines));
}

// A pipe that does not block takes 64 KiB at once: the rest of a longer line must not be lost.
TEST(StdioTransport, WritesAllOfALongLineToAPipeThatDoesNotBlock) {
    Pipe output;
    ASSERT_EQ(::fcntl(output.write_end(), F_SETFL, O_NONBLOCK), 0);
    StdioTransport transport(output.read_end(), output.write_end());
    std::string all;
    std::thread host([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        all = output.receive_all();
    });
    const std::string line(1 << 20, 'x');
    transport.write_line(line);
    EXPECT_TRUE(transport.flush_for(kLong));
    output.close_write();
    host.join();
    EXPECT_EQ(all.size(), line.size() + 1);
    EXPECT_EQ(all.back(), '\n');
}

// Waits for a line that must not come: the end.
TEST(StdioTransport, AHostThatClosesItsEndEndsTheReading) {
    std::signal(SIGPIPE, SIG_IGN);
    Pipe input;
    Pipe output;
    StdioTransport transport(input.read_end(), output.write_end());
    std::thread host([&] { output.close_read(); });
    EXPECT_FALSE(transport.read_line());
    host.join();
    EXPECT_TRUE(transport.host_gone());
    transport.write_line("nobody reads this");
    EXPECT_FALSE(transport.flush_for(std::chrono::milliseconds(10)));
}

TEST(StdioTransport, AHostThatDoesNotReadHoldsNobodyUp) {
    Pipe input;
    Pipe output;
    StdioTransport transport(input.read_end(), output.write_end());
    const std::string line(100000, 'x');
    for (int i = 0; i < 50; ++i) transport.write_line(line);  // a pipe holds 64 KiB
    EXPECT_TRUE(transport.congested());
    EXPECT_FALSE(transport.flush_for(std::chrono::milliseconds(10)));
    input.send("still read\n");
    EXPECT_EQ(**transport.read_line(), "still read");
    std::string all;
    std::thread host([&] { all = output.receive_all(); });
    EXPECT_TRUE(transport.flush_for(kLong));
    EXPECT_FALSE(transport.congested());
    output.close_write();
    host.join();
    EXPECT_EQ(all.size(), 50 * (line.size() + 1));
}

TEST(StdioTransport, InterruptStillGivesWhatHasArrivedButNoHalfLine) {
    Pipe input;
    StdioTransport transport(input.read_end(), input.write_end());
    input.send("one\ntwo\nhal");
    transport.interrupt();
    EXPECT_EQ(**transport.read_line(), "one");
    EXPECT_EQ(**transport.read_line(), "two");
    EXPECT_FALSE(transport.read_line());
}

}  // namespace
}  // namespace sdxl
