// backend_test [--table FILE] [--device ID] [GoogleTest's options]: the table of errors is that of the tests
// that ran; with a device, as the torch backend calls it (cuda:0), its tests are there besides, TorchDevice*.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "backends_under_test.h"
#include "parity_table.h"

int main(int argc, char** argv) {
    std::string table;
    int others = 1;  // words that are not ours
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        const bool has_value = i + 1 < argc;
        if (word == "--table" && has_value)
            table = argv[++i];
        else if (word == "--device" && has_value)
            sdxl::test_torch_device(argv[++i]);
        else
            argv[others++] = argv[i];
    }
    argc = others;
    testing::InitGoogleTest(&argc, argv);
    if (argc != 1) {
        std::fprintf(stderr, "usage: backend_test [--table FILE] [--device ID]\n");
        return 2;
    }
    const int status = RUN_ALL_TESTS();
    if (!table.empty() && !sdxl::ParityTable::instance().write(table)) {
        std::fprintf(stderr, "cannot write %s\n", table.c_str());
        return 2;
    }
    return status;
}
