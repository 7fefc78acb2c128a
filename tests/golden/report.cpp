#include "report.h"

#include <cstdio>

namespace sdxl::golden {
namespace {

void print(const char* verdict, std::string_view name, const std::string& rest) {
    std::printf("%-4s %.*s  %s\n", verdict, static_cast<int>(name.size()), name.data(), rest.c_str());
}

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", value);
    return text;
}

}  // namespace

void Report::compare(std::string_view name, double error, double limit, std::string_view note) {
    const bool good = error <= limit;  // false for NaN
    ++(good ? passed_ : failed_);
    std::string rest = number(error) + "  (limit " + number(limit) + ")";
    if (!note.empty()) rest += "  " + std::string(note);
    print(good ? "ok" : "FAIL", name, rest);
}

void Report::fail(std::string_view name, std::string_view why) {
    ++failed_;
    print("FAIL", name, std::string(why));
}

void Report::not_covered(std::string_view name, std::string_view why) {
    ++not_covered_;
    std::printf("not covered: %.*s  %.*s\n", static_cast<int>(name.size()), name.data(),
                static_cast<int>(why.size()), why.data());
}

int Report::finish() const {
    std::printf("%d passed, %d failed, %d not covered\n", passed_, failed_, not_covered_);
    if (passed_ + failed_ == 0) std::printf("FAIL no case ran\n");
    return failed_ == 0 && passed_ > 0 ? 0 : 1;
}

}  // namespace sdxl::golden
