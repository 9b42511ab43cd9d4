#include "experiments/all.hpp"

#include "experiments/01_power_grok/experiment.hpp"
#include "experiments/02_liu_effective/experiment.hpp"
#include "experiments/03_nanda_progress/experiment.hpp"
#include "experiments/04_wang_implicit/experiment.hpp"
#include "experiments/05_liu_omnigrok/experiment.hpp"
#include "experiments/06_humayun_deep/experiment.hpp"
#include "experiments/07_thilak_slingshot/experiment.hpp"
#include "experiments/08_doshi_polynomials/experiment.hpp"
#include "experiments/09_levi_linear/experiment.hpp"
#include "experiments/10_minegishi_tickets/experiment.hpp"

namespace grokscope {

std::vector<Experiment> all_experiments() {
  return {power_grok(),   liu_effective(),    nanda_progress(),    wang_implicit(), liu_omnigrok(),
          humayun_deep(), thilak_slingshot(), doshi_polynomials(), levi_linear(),   minegishi_tickets()};
}

}  // namespace grokscope
