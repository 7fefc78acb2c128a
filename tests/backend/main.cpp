// backend_test [--table FILE] [GoogleTest's options]: the table of errors is that of the tests that ran.
#include <gtest/gtest.h>

#include <cstdio>
#include <string_view>

#include "parity_table.h"

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const bool with_table = argc == 3 && std::string_view(argv[1]) == "--table";
    if (argc != 1 && !with_table) {
        std::fprintf(stderr, "usage: backend_test [--table FILE]\n");
        return 2;
    }
    const int status = RUN_ALL_TESTS();
    if (with_table && !sdxl::ParityTable::instance().write(argv[2])) {
        std::fprintf(stderr, "cannot write %s\n", argv[2]);
        return 2;
    }
    return status;
}
