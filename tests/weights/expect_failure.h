// Checks that something fails as it should: the code, and what the message names.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <initializer_list>
#include <string>

#include "core/error.h"

namespace sdxl::testing {

inline void expect_failure(const std::function<void()>& act, ErrorCode code,
                           std::initializer_list<std::string> named) {
    try {
        act();
    } catch (const Failure& failure) {
        const Error& error = failure.error();
        EXPECT_EQ(error_code_name(error.code), error_code_name(code)) << error.message;
        for (const auto& text : named)
            EXPECT_NE(error.message.find(text), std::string::npos)
                << "'" << text << "' is not in: " << error.message;
        return;
    }
    ADD_FAILURE() << "expected a failure with code " << error_code_name(code);
}

}  // namespace sdxl::testing
