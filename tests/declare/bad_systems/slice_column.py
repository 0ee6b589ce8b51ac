from timetable import PARTS, Departure, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "objective": ms.Objective(slices=[Departure.origin, Flight.distance > 500]),
})  # fmt: skip
