import pytest
import torch

from mgdemo.config import SamplingConfig
from mgdemo.model.flow import Schedule, add_noise, predict_x0, sigma_of


def test_published_schedules():
    timesteps = Schedule.from_config(SamplingConfig([1000, 666, 333])).timesteps
    torch.testing.assert_close(timesteps, torch.tensor([1000, 908.8427, 713.9794]))
    timesteps = Schedule.from_config(SamplingConfig([1000, 750, 500, 250])).timesteps
    torch.testing.assert_close(timesteps, torch.tensor([1000, 937.5, 833.3333, 625]))


def test_without_a_shift_the_noise_level_is_the_step():
    schedule = Schedule.from_config(SamplingConfig([1000, 700, 1], timestep_shift=1.0))
    torch.testing.assert_close(schedule.sigmas, torch.tensor([1.0, 0.7, 0.001]))


def test_a_timestep_has_the_nearest_noise_level():
    assert sigma_of(torch.tensor([1000.0, 833.4, 0.0]), 5.0).tolist() == pytest.approx(
        [1, 5 / 6, 0.00498], abs=1e-5
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_true_flow_leads_back(dtype):
    clean, noise = torch.randn(2, 1, 16, 3, 4, 6, generator=torch.manual_seed(0)).to(dtype)
    for sigma in Schedule.from_config(SamplingConfig()).sigmas:
        noisy = add_noise(clean, noise, sigma)
        back = predict_x0(noisy, noise - clean, sigma)
        assert noisy.dtype == back.dtype == dtype
        torch.testing.assert_close(back, clean, atol=1e-6 if dtype == torch.float32 else 5e-2, rtol=0)
