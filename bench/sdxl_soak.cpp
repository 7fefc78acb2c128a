// Many mixed requests to one worker process, as careless hosts send them: is each answered exactly once, does
// memory stay, and does a status come at once while a picture is being made?
//
// Two threads: one sends, never more than a window ahead; one reads and keeps the book.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "child.h"
#include "workplace.h"

namespace {

using nlohmann::json;
using sdxl::Child;
using Clock = std::chrono::steady_clock;

constexpr const char* kLast = "last";  // id of the request that ends the series
constexpr double kMiB = 1024.0 * 1024.0;

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

double resident_mib(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
    double pages = 0;
    double resident = 0;
    file >> pages >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / kMiB;
}

struct Options {
    std::string worker;
    std::string fixtures;
    int requests = 20000;
    int window = 128;
    int statuses = 2000;
    unsigned seed = 1;
};

// What may come back for a request.
struct Expected {
    std::string kind;
    std::vector<std::string> outcomes;  // "ok" or error codes; one of them
};

// The next request of a long series: most are cheap, many are wrong, some are pictures.
class Mix {
  public:
    explicit Mix(unsigned seed) : random_(seed) {}

    struct Request {
        std::string line;
        std::string id;  // "" for a line that has none
        Expected expected;
        std::string cancel;  // a second line that cancels the first, or ""
    };

    Request next(int number) {
        const std::string id = "r" + std::to_string(number);
        const int dice = below(100);
        if (dice < 30) return {message("status_request", id, json::object()), id, {"status", {"ok"}}, ""};
        if (dice < 36)
            return {message("capabilities_request", id, json::object()), id, {"capabilities", {"ok"}}, ""};
        if (dice < 46) return validation(id);
        if (dice < 58) return wrong(id);
        if (dice < 66) return broken();
        if (dice < 72) return models(id);
        if (dice < 78) return cancelled(id);
        if (dice < 84) return late(id);
        if (dice < 87) return batch(id);
        return picture(id);
    }

  private:
    int below(int most) { return static_cast<int>(random_() % static_cast<unsigned>(most)); }

    static std::string message(const std::string& type, const std::string& id, const json& data) {
        return json{{"message_type", type}, {"request_id", id}, {"data", data}}.dump();
    }

    json body(int steps) {
        static const char* kPriorities[] = {"low", "normal", "high", "critical"};
        return {{"prompt", "a b"},
                {"model_name", "micro"},
                {"width", 64},
                {"height", 64 + 8 * below(3)},
                {"steps", steps},
                {"seed", below(1000)},
                {"guidance_scale", below(2) * 7},
                {"priority", kPriorities[below(4)]}};
    }

    Request picture(const std::string& id) {
        const json flat = body(1 + below(3));
        if (below(2) == 0) return {message("inference_request", id, flat), id, {"picture", {"ok"}}, ""};
        return {json{{"action", "generate_image"}, {"session_id", id}, {"parameters", flat}}.dump(),
                id,
                {"picture", {"ok"}},
                ""};
    }
    Request batch(const std::string& id) {
        json wrong_item = body(1);
        wrong_item["width"] = 7;
        const json data = {{"type", "batch"}, {"requests", {body(1), wrong_item, body(2)}}};
        return {message("inference_request", id, data), id, {"batch", {"ok"}}, ""};
    }
    Request cancelled(const std::string& id) {
        const json target = {{"request_id", id}};
        return {message("inference_request", id, body(400)),
                id,
                {"cancelled", {"cancelled"}},
                message("cancel_request", "c" + id, target)};
    }
    Request late(const std::string& id) {
        json data = body(400);
        data["timeout"] = 0.001 * (1 + below(30));
        return {message("inference_request", id, data), id, {"late", {"deadline_exceeded"}}, ""};
    }
    Request validation(const std::string& id) {
        json data = body(1);
        if (below(2) == 0) data["steps"] = -5;
        return {message("validate_request", id, {{"request", data}}), id, {"validation", {"ok"}}, ""};
    }
    Request wrong(const std::string& id) {
        json data = body(2);
        static const std::pair<const char*, json> kWrong[] = {{"width", 65},
                                                              {"steps", 501},
                                                              {"scheduler", "Eulr"},
                                                              {"guidance_scale", "7"},
                                                              {"prompt", json(nullptr)},
                                                              {"model_name", "nobody"},
                                                              {"loras", {{{"name", "x"}}}}};
        const auto& [member, value] = kWrong[below(static_cast<int>(std::size(kWrong)))];
        data[member] = value;
        return {message("inference_request", id, data),
                id,
                {"wrong", {"invalid_request", "not_found", "unsupported"}},
                ""};
    }
    Request models(const std::string& id) {
        switch (below(3)) {
            case 0:
                return {
                    message("model_load_request", id, {{"model_name", "micro"}}), id, {"load", {"ok"}}, ""};
            case 1:
                return {message("model_unload_request", id, {{"model_name", "micro"}}),
                        id,
                        {"unload", {"ok", "not_found"}},
                        ""};
            default:
                return {json{{"action", "cleanup_memory"}, {"session_id", id}}.dump(),
                        id,
                        {"cleanup", {"ok"}},
                        ""};
        }
    }
    Request broken() {
        static const char* kBroken[] = {"{",
                                        "nothing",
                                        "[1,2]",
                                        R"({"message_type":"status_request","message_type":"x"})",
                                        "{\"prompt\":\"\xFF\"}",
                                        R"({"a":1e999})"};
        return {
            kBroken[below(static_cast<int>(std::size(kBroken)))], "", {"broken", {"invalid_request"}}, ""};
    }

    std::mt19937 random_;
};

// Who waits for an answer, and what was wrong with those that came.
class Book {
  public:
    explicit Book(int window) : window_(window) {}

    // Waits for room in the window. Returns how many lines the request has.
    int expect(const Mix::Request& request) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return open_ < window_; });
        const int lines = request.cancel.empty() ? 1 : 2;
        open_ += lines;
        if (request.id.empty())
            ++without_id_;
        else
            waiting_[request.id] = request.expected;
        if (!request.cancel.empty()) waiting_["c" + request.id] = {"cancelling", {"ok"}};
        return lines;
    }
    void answered(const std::string& line) {
        const json answer = json::parse(line, nullptr, false);
        const std::lock_guard lock(mutex_);
        ++answers_;
        --open_;
        changed_.notify_all();
        if (!answer.is_object() || !answer.contains("success")) return complain("no answer: " + line);
        json id = answer.value("request_id", json());
        if (id.is_null()) id = answer.value("session_id", json());
        const std::string outcome =
            answer["success"] == true ? "ok" : answer.value("error_code", std::string("?"));
        if (id.is_null()) {
            if (--without_id_ < 0) complain("one too many: " + line);
            ++outcomes_["broken " + outcome];
            return;
        }
        const auto found = waiting_.find(id.get<std::string>());
        if (found == waiting_.end()) return complain("answered twice, or never asked: " + line);
        const auto& allowed = found->second.outcomes;
        if (std::find(allowed.begin(), allowed.end(), outcome) == allowed.end())
            complain(found->second.kind + ": " + line);
        ++outcomes_[found->second.kind + " " + outcome];
        complete_ = complete_ || found->first == kLast;
        waiting_.erase(found);
    }
    void wait_for_all() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return open_ <= 0; });
    }
    bool complete() const {
        const std::lock_guard lock(mutex_);
        return complete_;
    }
    long answers() const {
        const std::lock_guard lock(mutex_);
        return answers_;
    }
    // Prints; true if all is well.
    bool close() const {
        const std::lock_guard lock(mutex_);
        for (const auto& [outcome, count] : outcomes_) std::printf("  %-32s %6ld\n", outcome.c_str(), count);
        for (const auto& complaint : complaints_) std::printf("  WRONG: %s\n", complaint.c_str());
        for (const auto& [id, expected] : waiting_)
            std::printf("  NEVER ANSWERED: %s (%s)\n", id.c_str(), expected.kind.c_str());
        if (without_id_ != 0) std::printf("  WITHOUT ID, NOT ANSWERED: %d\n", without_id_);
        return complaints_.empty() && waiting_.empty() && without_id_ == 0;
    }

  private:
    void complain(std::string what) {
        constexpr std::size_t kMost = 20;
        if (complaints_.size() < kMost) complaints_.push_back(std::move(what));
    }

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, Expected> waiting_;
    std::map<std::string, long> outcomes_;
    std::vector<std::string> complaints_;
    int window_;
    int open_ = 0;
    int without_id_ = 0;
    long answers_ = 0;
    bool complete_ = false;
};

void draw_progress(long done, long total) {
    if (::isatty(STDERR_FILENO) == 0) return;
    std::fprintf(stderr, "\r%ld of %ld answered ", done, total);
    if (done == total) std::fprintf(stderr, "\r%40s\r", "");
}

// False if an answer was lost, doubled or wrong.
bool run_mix(const Options& options, Child& worker) {
    Book book(options.window);
    std::vector<double> resident;  // after every thousand answers
    std::thread reader([&] {
        while (!book.complete()) {
            const std::string line = worker.line();
            if (line.empty()) return;
            book.answered(line);
            const long answers = book.answers();
            if (answers % 1000 == 0) resident.push_back(resident_mib(worker.pid()));
            if (answers % 100 == 0) draw_progress(answers, options.requests);
        }
    });
    Mix mix(options.seed);
    const auto begin = Clock::now();
    long lines = 0;
    for (int number = 0; lines < options.requests; ++number) {
        const auto request = mix.next(number);
        lines += book.expect(request);
        worker.send(request.line + "\n");
        if (!request.cancel.empty()) worker.send(request.cancel + "\n");
    }
    // The reader ends behind the answer to this one, which is sent when nothing else is open.
    book.wait_for_all();
    const double seconds = seconds_since(begin);
    book.expect({"", kLast, {"last status", {"ok"}}, ""});
    worker.send("{\"message_type\":\"status_request\",\"request_id\":\"last\"}\n");
    reader.join();
    draw_progress(lines, lines);
    std::printf("%ld requests in %.1f s: %.0f a second; outcomes:\n", lines, seconds,
                static_cast<double>(lines) / seconds);
    const bool good = book.close();
    std::printf("resident memory in MiB after every 1000 answers:");
    for (const double mib : resident) std::printf(" %.0f", mib);
    if (resident.size() > 1)
        std::printf("\ngrowth after the first 1000: %+.1f MiB\n", resident.back() - resident.front());
    return good;
}

// How long a status takes while a picture is being made.
void time_statuses(const Options& options, Child& worker) {
    const json endless = {{"prompt", "a b"}, {"model_name", "micro"}, {"width", 512},
                          {"height", 512},   {"steps", 500},          {"seed", 1}};
    worker.send(
        json{{"message_type", "inference_request"}, {"request_id", "long"}, {"data", endless}}.dump() + "\n");
    std::vector<double> milliseconds;
    int busy = 0;
    for (int i = 0; i < options.statuses; ++i) {
        const auto begin = Clock::now();
        worker.send("{\"message_type\":\"status_request\",\"request_id\":\"s\"}\n");
        const json answer = json::parse(worker.line(), nullptr, false);
        milliseconds.push_back(seconds_since(begin) * 1000);
        if (answer.value("request_id", "") == "long") break;
        busy += answer["data"].value("status", "") == "busy" ? 1 : 0;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    worker.send(
        "{\"message_type\":\"cancel_request\",\"request_id\":\"c\",\"data\":{\"request_id\":\"long\"}}\n");
    worker.line();
    worker.line();
    std::sort(milliseconds.begin(), milliseconds.end());
    const auto at = [&](double part) {
        return milliseconds[static_cast<std::size_t>(part * static_cast<double>(milliseconds.size() - 1))];
    };
    std::printf(
        "status while a picture is made (%zu asked, %d found it busy): p50 %.2f ms, p99 %.2f ms, most %.2f "
        "ms\n",
        milliseconds.size(), busy, at(0.5), at(0.99), milliseconds.back());
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Sends many mixed requests to one worker process and prints what came of them.",
                 "sdxl-soak");
    Options options;
    options.worker = (std::filesystem::path(argv[0]).parent_path() / "sdxl-worker").string();
    options.fixtures = "../shared/fixtures";
    app.add_option("--worker", options.worker, "the program")->capture_default_str();
    app.add_option("--fixtures", options.fixtures, "folder with the model 'micro'")->capture_default_str();
    app.add_option("--requests", options.requests, "how many")->capture_default_str();
    app.add_option("--window", options.window, "how many may be unanswered")->capture_default_str();
    app.add_option("--statuses", options.statuses, "how many to time")->capture_default_str();
    app.add_option("--seed", options.seed, "of the series")->capture_default_str();
    CLI11_PARSE(app, argc, argv);

    const sdxl::Workplace place(options.fixtures);
    Child worker(place.command(options.worker, {"--log-level", "ERROR"}));
    const bool good = run_mix(options, worker);
    time_statuses(options, worker);
    worker.close_input();
    const int status = worker.wait();
    std::printf("exit status %d\n%s\n", status,
                good && status == 0 ? "every request was answered exactly once"
                                    : "NOT every request was answered as it should be");
    return good && status == 0 ? 0 : 1;
}
