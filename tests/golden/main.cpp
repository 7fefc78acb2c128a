// sdxl-golden: compares the worker's parts with golden values computed by other implementations.
//
//   sdxl-golden modules DIR [--backend NAME] | schedulers FILE | rng FILE | tokenizer FILE [--vocabulary DIR]
//
// One line per case, then a summary. Exit status: 0 all passed, 1 a case failed or none ran, 2 wrong use or a
// file that cannot be read.
#include <array>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "commands.h"
#include "modules.h"

namespace {

constexpr int kUnusable = 2;

struct Command {
    std::string_view name;
    std::string_view option;  // its one option with a value; empty: none
    int (*run)(const std::string& path, const std::string& value);
};

constexpr std::array<Command, 4> kCommands = {{
    {"modules", "--backend", &run_modules},
    {"schedulers", "",
     [](const std::string& path, const std::string&) { return sdxl::golden::run_schedulers(path); }},
    {"rng", "", [](const std::string& path, const std::string&) { return sdxl::golden::run_rng(path); }},
    {"tokenizer", "--vocabulary", &sdxl::golden::run_tokenizer},
}};

int usage() {
    std::fprintf(
        stderr,
        "usage: sdxl-golden {modules DIR [--backend NAME] | schedulers FILE | rng FILE | tokenizer FILE "
        "[--vocabulary DIR]}\n");
    return kUnusable;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    for (const Command& command : kCommands) {
        if (words.empty() || command.name != words[0]) continue;
        const bool with_option = words.size() == 4 && !command.option.empty() && words[2] == command.option;
        if (words.size() != 2 && !with_option) break;
        try {
            return command.run(words[1], with_option ? words[3] : "");
        } catch (const std::exception& error) {
            std::fprintf(stderr, "sdxl-golden: %s: %s\n", words[1].c_str(), error.what());
            return kUnusable;
        }
    }
    return usage();
}
