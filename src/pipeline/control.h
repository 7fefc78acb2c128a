// Control: one control model at work in one request, from its control pictures to what it adds to a pass
// through the UNet.
//
// A control picture is embedded once, in the first step that it takes part in. Belongs to one Conditioning:
// what the control model makes of the prompts is kept. Used by one thread at a time. Errors: Failure.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "image/image.h"
#include "ops/context.h"
#include "pipeline/conditioning.h"
#include "pipeline/control_model.h"
#include "pipeline/sdxl_model.h"

namespace sdxl {

struct ControlHint {
    std::shared_ptr<const Image> image;  // of the picture's size, 3 channels
    int type = 0;                        // of a union: union_type_of; else 0
};

struct ControlUse {
    std::shared_ptr<const ControlModel> model;
    std::vector<ControlHint> hints;  // one; of a union one for each type
    double weight = 1;
    // The part of the calls, from the first that is made to the schedule's end, in which it takes part.
    double start = 0;
    double end = 1;
    // A ControlNet works for the prompt alone, not for the negative one, and weaker in the outer blocks
    // (Zhang et al. 2023, section 3.4).
    bool guess_mode = false;
};

// A call of the UNet that something is to be added to.
struct ControlledCall {
    Tensor latent;  // [entries, h, w, 4]: parts one behind the other, each for all pictures
    float timestep = 0;
    BatchParts parts;
    int pictures = 1;
};

class Control {
  public:
    // For pictures of this size. Fails with kInvalidRequest if the use makes no sense (a type that the union
    // does not know, guess mode of a T2I-Adapter), kInvalidModel if the control model was made for another
    // network than `model`'s UNet.
    Control(const SdxlModel& model, ControlUse use, int width, int height);

    const ControlUse& use() const { return use_; }
    // Whether it takes part in a call with these parts of the schedule before and behind it: diffusers'
    // controlnet_keep. Never at weight 0.
    bool applies(double before, double behind) const;
    // Adds what it gives for this call, weighed.
    void add_to(ControlResiduals& sum, const Context& ctx, const Conditioning& conditioning,
                const ControlledCall& call);

  private:
    void add_residuals(ControlResiduals& sum, const Context& ctx, const Conditioning& conditioning,
                       const ControlledCall& call);
    void add_states(ControlResiduals& sum, const Context& ctx, const ControlledCall& call);
    void embed_hints(const Context& own);
    void make_states(const Context& own);
    const UNetConditioning& condition(const Context& own, const Conditioning& conditioning, BatchParts parts,
                                      int pictures);

    ControlUse use_;
    std::vector<HintFeatures> hints_;  // of a ControlNet, once they are made
    std::vector<Tensor> states_;       // of a T2I-Adapter, weighed, once they are made
    std::map<std::pair<bool, int>, UNetConditioning> prompts_;  // by negative half and pictures
};

// What all that apply add to a call. REQUIRES: all belong to `conditioning`.
ControlResiduals control_residuals(const Context& ctx, const Conditioning& conditioning,
                                   std::span<Control> controls, double before, double behind,
                                   const ControlledCall& call);

}  // namespace sdxl
