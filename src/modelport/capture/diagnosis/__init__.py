"""What may have gone wrong while capturing, and whether it did.

Suspicions come from torch's warnings, from what it assumed about sizes, and from the graph; probes
that are chosen to break each of them run the original and the graph side by side; a suspicion that
a probe confirms becomes an error, one that none can confirm a note.
"""

from modelport.capture.diagnosis.guards import Original
from modelport.capture.diagnosis.hygiene import hygiene_findings
from modelport.capture.diagnosis.ill_conditioned import fragile_probes
from modelport.capture.diagnosis.loops import KEEP_LOOP
from modelport.capture.diagnosis.output_aliasing import example_findings
from modelport.capture.diagnosis.probe_memory import bounded_memory
from modelport.capture.diagnosis.probes import Probe, draw_probes, run_probes
from modelport.capture.diagnosis.proof_of_suspicions import judge
from modelport.capture.diagnosis.state import state_findings
from modelport.capture.diagnosis.suspicions import Suspicion, find_suspicions
from modelport.capture.diagnosis.symbolic_run import ShadowRun, shadow_run

__all__ = [
    "KEEP_LOOP",
    "Original",
    "Probe",
    "ShadowRun",
    "Suspicion",
    "bounded_memory",
    "draw_probes",
    "example_findings",
    "find_suspicions",
    "fragile_probes",
    "hygiene_findings",
    "judge",
    "run_probes",
    "shadow_run",
    "state_findings",
]
