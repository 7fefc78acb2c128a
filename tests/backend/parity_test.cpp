// Every op against the reference, over the shapes that SDXL and its odd sizes bring.
#include "parity.h"

namespace sdxl {
namespace {

TEST_P(BackendParity, Linear) {
    for (const auto& [rows, in, out] :
         {std::tuple{1, 32, 64}, {2, 1280, 320}, {154, 192, 64}, {77, 70, 33}}) {
        SCOPED_TRACE(rows);
        const HostTensor x = random({1, rows, in}), w = random({out, in}, 0.1F), b = random({out});
        const HostTensor r = random({1, rows, out});
        for (const auto activation : {Activation::kNone, Activation::kSilu, Activation::kGelu,
                                      Activation::kQuickGelu, Activation::kRelu}) {
            expect_parity([&](const LoadContext& load, const Context& ctx) {
                const auto weight = ops::prepare_linear(load, {{w.view()}, {b.view()}});
                return ops::linear(ctx, up(ctx, x), weight, {}, activation);
            });
        }
        expect_parity([&](const LoadContext& load, const Context& ctx) {
            const auto weight = ops::prepare_linear(load, {{w.view()}, {}});
            return ops::linear(ctx, up(ctx, x), weight, up(ctx, r));
        });
    }
}

TEST_P(BackendParity, LinearStacksWeights) {
    const HostTensor x = random({2, 9, 64}), q = random({64, 64}), k = random({32, 64}),
                     v = random({128, 64});
    const HostTensor qb = random({64}), kb = random({32}), vb = random({128});
    expect_parity([&](const LoadContext& load, const Context& ctx) {
        const LinearSource source{{q.view(), k.view(), v.view()}, {qb.view(), kb.view(), vb.view()}};
        return ops::linear(ctx, up(ctx, x), ops::prepare_linear(load, source));
    });
}

TEST_P(BackendParity, LinearTakesPointwiseConvolutions) {
    const HostTensor x = random({1, 5, 7, 64}), w = random({32, 64, 1, 1}), b = random({32});
    expect_parity([&](const LoadContext& load, const Context& ctx) {
        return ops::linear(ctx, up(ctx, x), ops::prepare_linear(load, {{w.view()}, {b.view()}}));
    });
}

TEST_P(BackendParity, Geglu) {
    for (const int inner : {256, 40}) {
        const HostTensor x = random({2, 33, 64}), w = random({2 * inner, 64}, 0.2F), b = random({2 * inner});
        expect_parity(
            [&](const LoadContext& load, const Context& ctx) {
                return ops::geglu(ctx, up(ctx, x), ops::prepare_geglu(load, {{w.view()}, {b.view()}}));
            },
            2.0);
    }
}

struct ConvCase {
    std::int64_t height, width, in, out, kernel;
    int stride;
    Padding padding;
};

TEST_P(BackendParity, Conv2d) {
    const ConvCase cases[]{{16, 16, 32, 64, 3, 1, {1, 1, 1, 1}}, {5, 3, 64, 64, 3, 1, {1, 1, 1, 1}},
                           {9, 7, 32, 32, 3, 2, {1, 1, 1, 1}},   {8, 8, 32, 32, 3, 2, {0, 0, 1, 1}},
                           {12, 20, 4, 32, 3, 1, {1, 1, 1, 1}},  {12, 20, 32, 4, 3, 1, {1, 1, 1, 1}},
                           {1, 1, 32, 32, 3, 1, {1, 1, 1, 1}},   {6, 6, 8, 8, 1, 1, {}}};
    for (const ConvCase& c : cases) {
        SCOPED_TRACE(::testing::Message() << c.height << "x" << c.width << " " << c.in << "->" << c.out);
        const HostTensor x = random({2, c.height, c.width, c.in}), b = random({c.out});
        const HostTensor w = random({c.out, c.in, c.kernel, c.kernel}, 0.1F);
        for (const bool with_residual : {false, true}) {
            expect_parity([&](const LoadContext& load, const Context& ctx) {
                const auto weight = ops::prepare_conv2d(load, {w.view(), b.view(), c.stride, c.padding});
                const Tensor plain = ops::conv2d(ctx, up(ctx, x), weight);
                return with_residual ? ops::conv2d(ctx, up(ctx, x), weight, plain) : plain;
            });
        }
    }
}

TEST_P(BackendParity, AttentionOverPackedProjections) {
    for (const auto& [length, heads, size] :
         {std::tuple{16, 1, 64}, {240, 2, 64}, {77, 2, 64}, {300, 1, 512}, {257, 2, 80}, {257, 1, 104}}) {
        SCOPED_TRACE(length);
        const std::int64_t c = std::int64_t{heads} * size;
        const HostTensor qkv = random({2, length, 3 * c});
        for (const bool causal : {false, true}) {
            expect_parity(
                [&, heads = heads](const LoadContext&, const Context& ctx) {
                    const Tensor all = up(ctx, qkv);
                    return ops::attention(ctx, all.columns(0, c), all.columns(c, c), all.columns(2 * c, c),
                                          heads, causal);
                },
                2.0);
        }
    }
}

TEST_P(BackendParity, AttentionToAContext) {
    for (const auto& [queries, keys] : {std::tuple{64, 77}, {15, 154}, {1025, 77}, {7, 1}}) {
        SCOPED_TRACE(queries);
        const HostTensor q = random({2, queries, 128}), kv = random({2, keys, 256});
        expect_parity(
            [&](const LoadContext&, const Context& ctx) {
                const Tensor both = up(ctx, kv);
                return ops::attention(ctx, up(ctx, q), both.columns(0, 128), both.columns(128, 128), 2,
                                      false);
            },
            2.0);
    }
}

// The bound on scores: some heads at a time, one, some queries, one query, at the edges of each.
TEST_P(BackendParity, AttentionInSlices) {
    const HostTensor qkv = random({2, 50, 3 * 128});
    constexpr std::uint64_t kRow = 2 * sizeof(float) * 50;  // scores and weights of a query
    for (const std::uint64_t rows : {1, 7, 25, 49, 50, 51, 100, 130, 200, 201}) {
        SCOPED_TRACE(rows);
        for (const bool causal : {false, true}) {
            expect_parity(
                [&](const LoadContext&, const Context& ctx) {
                    ctx.backend.limit_attention(rows * kRow);
                    const Tensor all = up(ctx, qkv);
                    return ops::attention(ctx, all.columns(0, 128), all.columns(128, 128),
                                          all.columns(256, 128), 2, causal);
                },
                2.0);
        }
    }
}

// Scores far apart: a softmax that does not subtract the largest overflows.
TEST_P(BackendParity, AttentionWithLargeScores) {
    const HostTensor q = random({1, 40, 64}, 30.0F), k = random({1, 40, 64}, 30.0F), v = random({1, 40, 64});
    expect_parity(
        [&](const LoadContext&, const Context& ctx) {
            return ops::attention(ctx, up(ctx, q), up(ctx, k), up(ctx, v), 1, false);
        },
        8.0);
}

TEST_P(BackendParity, GroupNorm) {
    for (const std::int64_t c : {32, 64, 96, 320}) {
        SCOPED_TRACE(c);
        const HostTensor x = random({2, 6, 5, c}, 2.0F, 1.0F), g = random({c}), b = random({c}),
                         s = random({2, c});
        for (const bool silu : {false, true}) {
            for (const bool shifted : {false, true}) {
                expect_parity([&](const LoadContext&, const Context& ctx) {
                    return ops::group_norm(ctx, up(ctx, x), up_f32(ctx, g), up_f32(ctx, b), {32, 1e-5F, silu},
                                           shifted ? up_f32(ctx, s) : Tensor());
                });
            }
        }
    }
}

TEST_P(BackendParity, GroupNormInTwo) {
    const HostTensor x = random({2, 5, 7, 64}, 3.0F, 1.0F), g = random({64}), b = random({64});
    for (const bool silu : {false, true}) {
        expect_parity([&](const LoadContext&, const Context& ctx) {
            const Tensor values = up(ctx, x);
            return ctx.backend.group_norm_by(values, up_f32(ctx, g), up_f32(ctx, b),
                                             ctx.backend.group_moments(values, 32), 1e-5F, silu);
        });
    }
}

TEST_P(BackendParity, ScaleChannels) {
    const HostTensor x = random({2, 3, 5, 80});
    for (const std::int64_t channels : {0, 5, 40, 80})
        expect_parity([&](const LoadContext&, const Context& ctx) {
            return ops::scale_channels(ctx, up(ctx, x), channels, 1.3F);
        });
}

TEST_P(BackendParity, ScaleLowFrequencies) {
    for (const Shape& shape : {Shape{2, 4, 6, 80}, Shape{1, 5, 7, 3}, Shape{1, 1, 3, 16}, Shape{1, 2, 1, 16},
                               Shape{1, 1, 1, 70}, Shape{1, 32, 32, 64}}) {
        const HostTensor x = random(shape, 1.0F, 0.5F);
        expect_parity([&](const LoadContext&, const Context& ctx) {
            return ops::scale_low_frequencies(ctx, up(ctx, x), 0.2F);
        });
    }
}

TEST_P(BackendParity, ConcatBatch) {
    const HostTensor x = random({3, 5, 48});
    expect_parity([&](const LoadContext&, const Context& ctx) {
        const Tensor values = up(ctx, x);
        return ops::concat_batch(ctx, values.columns(0, 16).slice(0, 2), values.columns(32, 16).slice(1, 2));
    });
}

// The variance must not drown in the mean.
TEST_P(BackendParity, GroupNormFarFromZero) {
    const HostTensor x = random({1, 16, 16, 64}, 1.0F, 100.0F), g = random({64}), b = random({64});
    expect_parity(
        [&](const LoadContext&, const Context& ctx) {
            return ops::group_norm(ctx, up(ctx, x), up_f32(ctx, g), up_f32(ctx, b), {32, 1e-6F, false});
        },
        20.0);
}

TEST_P(BackendParity, LayerNorm) {
    for (const std::int64_t c : {64, 70, 1280}) {
        const HostTensor x = random({2, 11, c}, 3.0F, 0.5F), g = random({c}), b = random({c});
        expect_parity([&](const LoadContext&, const Context& ctx) {
            return ops::layer_norm(ctx, up(ctx, x), up_f32(ctx, g), up_f32(ctx, b), 1e-5F);
        });
    }
}

TEST_P(BackendParity, ActivateAndAdd) {
    const HostTensor x = random({3, 1283}, 4.0F), y = random({3, 1283});
    for (const auto activation :
         {Activation::kSilu, Activation::kGelu, Activation::kQuickGelu, Activation::kRelu}) {
        expect_parity([&](const LoadContext&, const Context& ctx) {
            return ops::activate(ctx, up(ctx, x), activation);
        });
    }
    expect_parity(
        [&](const LoadContext&, const Context& ctx) { return ops::add(ctx, up(ctx, x), up(ctx, y)); });
    expect_parity([&](const LoadContext&, const Context& ctx) {
        return ops::add_scaled(ctx, up(ctx, x), up(ctx, y), 0.7F);
    });
}

// Far out an activation is 0 or x, never NaN.
TEST_P(BackendParity, ActivationsOfExtremes) {
    const HostTensor x(Values{-1e30F, -100.0F, -30.0F, 0.0F, 30.0F, 100.0F, 1e4F}, {1, 7});
    for (const auto activation :
         {Activation::kSilu, Activation::kGelu, Activation::kQuickGelu, Activation::kRelu}) {
        expect_parity([&](const LoadContext&, const Context& ctx) {
            return ops::activate(ctx, up(ctx, x), activation);
        });
    }
}

TEST_P(BackendParity, Movement) {
    const HostTensor x = random({2, 3, 5, 32}), y = random({2, 3, 5, 64});
    expect_parity([&](const LoadContext&, const Context& ctx) {
        return ops::concat_channels(ctx, up(ctx, x), up(ctx, y));
    });
    for (const auto& [height, width] : {std::tuple{6, 10}, {5, 10}, {6, 9}, {5, 9}}) {
        expect_parity([&, h = height, w = width](const LoadContext&, const Context& ctx) {
            return ops::upsample_nearest2x(ctx, up(ctx, x), h, w);
        });
    }
}

TEST_P(BackendParity, Embed) {
    const HostTensor table = random({10, 24}), positions = random({3, 24});
    const std::vector<std::int32_t> ids{0, 9, 4, 4, 1, 0};
    for (const bool with_positions : {false, true}) {
        expect_parity([&](const LoadContext&, const Context& ctx) {
            return ops::embed(ctx, table.view(), ids, 2, with_positions ? positions.view() : HostView{});
        });
    }
}

TEST_P(BackendParity, CastKeepsValues) {
    const HostTensor x = random({2, 3, 17});
    expect_parity([&](const LoadContext&, const Context& ctx) {
        return ops::cast(ctx, ops::cast(ctx, up(ctx, x), DType::kF32), ctx.compute);
    });
}

INSTANTIATE_TEST_SUITE_P(Backends, BackendParity, ::testing::ValuesIn(backends_under_test()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace sdxl
