from timetable import DELAY, PARTS, Departure, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "objective": ms.Objective(
        guards=[
            ms.Guard("ece", at_most=0.1, where=Flight.origin),
            ms.Guard("ece", at_most=0.1, where=Departure.dep_delay > 5),
        ]
    ),
    "training": ms.Training(where=DELAY > 5),
})  # fmt: skip
